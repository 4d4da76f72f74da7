"""`escalade monitor serve`: the monitoring service over HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from escalade.cli.monitor.options import STATE, Json, say, service_in, warn

if TYPE_CHECKING:
    from escalade.monitoring.http.wanted import SlurmJob
    from escalade.monitoring.sessions.life import JobWish


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond loopback a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="A free one when 0.")] = 8642,
    state: Annotated[
        Path, typer.Option("--state", "--root", help="Folder of the sessions.")
    ] = STATE,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File of mode 600 with the token that requests have to carry; or the "
            "environment variable ESCALADE_MONITOR_TOKEN."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the operations on sessions over HTTP, until Ctrl-C or SIGTERM; sessions go on.

    Exit code 2 when a token is needed and there is none, 3 when the port is taken.
    """
    from escalade.monitoring.http import server  # noqa: PLC0415 - `--help` does without
    from escalade.monitoring.http.app import make_app  # noqa: PLC0415
    from escalade.monitoring.http.tokens import take_token  # noqa: PLC0415

    token = take_token(token_file)
    listening = server.bind(host, port, guarded=token is not None)
    url = server.url_of(listening)
    inside = server.on_loopback(listening.getsockname()[0])
    app = make_app(service_in(state), token, loopback_only=inside, job_wish=_wish)
    if as_json:
        facts = {"url": url, "docs": f"{url}/docs", "token": token is not None}
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        say(f"The sessions in {state} are served at {url}; the operations: {url}/docs")
        say("Ctrl-C ends it; sessions go on.")
    sys.stdout.flush()
    if token is None:
        warn("Without a token: everybody on this machine may use it (docs/monitoring-api.md).")
    server.serve(app, listening)
    if not as_json:
        say("Stopped; sessions go on.")
    sys.stdout.flush()
    server.leave()


def _wish(asked: SlurmJob) -> JobWish:
    from escalade.cli.monitor.jobs import job_wish  # noqa: PLC0415

    return job_wish(asked.partition, asked.account, asked.qos, asked.time)
