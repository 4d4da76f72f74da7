"""Options that several commands of `escalade monitor` have, and how they answer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from escalade.monitoring.sessions.results import Changed
    from escalade.monitoring.sessions.service import MonitoringService

Session = Annotated[str, typer.Option(help="Id of the session.")]
State = Annotated[Path, typer.Option(help="Folder of the sessions.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wait = Annotated[
    float, typer.Option(min=0, help="Seconds to wait until Prometheus has scraped it.")
]

STATE = Path(".escalade/monitor")
WAIT_SECONDS = 15.0


def service_in(state: Path) -> MonitoringService:
    """Give the service; its libraries are loaded by now only, so that --help is quick."""
    from escalade.monitoring.sessions.service import MonitoringService  # noqa: PLC0415

    return MonitoringService(state)


def say(text: str) -> None:
    """Print a line as it is: names of others are no markup."""
    Console(highlight=False, soft_wrap=True, markup=False).print(text)


def warn(text: str) -> None:
    """Print a line to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text, style="yellow")


def tell(changed: Changed, *, as_json: bool) -> None:
    """Print what came of an operation."""
    if as_json:
        typer.echo(json.dumps(changed.to_json(), indent=1, allow_nan=False))
        return
    say(f"{changed.session}: {changed.what}")
    for target in changed.targets[:20]:
        say(f"  {target.kind} {target.name}: {target.url or target.given} {target.health}")
    for problem in changed.problems[:20]:
        warn(f"  {problem}")


def ago(at: float | None, now: float | None = None) -> str:
    """Say how long ago something was."""
    if at is None:
        return "never"
    seconds = max(0.0, (time.time() if now is None else now) - at)
    if seconds < 120:
        return f"{seconds:.1f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.1f} h ago"
