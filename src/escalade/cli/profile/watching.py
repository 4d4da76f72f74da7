"""`escalade profile top`: all GPUs of all nodes in a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from escalade.cli.profile.options import Head, Json, TokenFile, client_of
from escalade.errors import EscaladeError

if TYPE_CHECKING:
    from escalade.profiler.client import ProfilerClient
    from escalade.profiler.top import View

_LEAST_SECONDS = 0.25


def top(
    head: Head,
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once.")] = False,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Show all GPUs of all nodes as they are now, until Ctrl-C.

    Without a terminal it prints a line at each look, with --json an object. Exit code 3 when no
    head answers at the beginning; one that is lost later is waited for.
    """
    from rich.console import Console  # noqa: PLC0415 - `--help` does without
    from rich.live import Live  # noqa: PLC0415

    from escalade.profiler.top import View, plain  # noqa: PLC0415

    console = Console()
    with client_of(head, token_file) as client:
        view = View()
        interval = _look(client, view)
        if as_json or (not console.is_terminal and not once):
            while True:
                latest = client.latest()
                sys.stdout.write(f"{latest.model_dump_json() if as_json else plain(latest)}\n")
                sys.stdout.flush()
                if once:
                    return
                time.sleep(interval)
        if once:
            console.print(view.drawn(client.address, console.width, 10_000))
            return
        with (
            contextlib.suppress(KeyboardInterrupt),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while True:
                live.update(view.drawn(client.address, console.width, console.height), refresh=True)
                time.sleep(interval)
                try:
                    interval = _look(client, view)
                except EscaladeError as error:
                    view.lose(str(error).partition(". ")[0])


def _look(client: ProfilerClient, view: View) -> float:
    """Ask the head; give the seconds until it is to be asked again."""
    status = client.status()
    view.show(status, client.clients(), client.latest())
    return max(_LEAST_SECONDS, status.interval_ms / 1000)
