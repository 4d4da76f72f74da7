"""`escalade profile profile`, `status` and `stop`, and the same by their `http-…` names."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from escalade.cli.monitor.options import ago, say, warn
from escalade.cli.profile.moments import moment
from escalade.cli.profile.options import Head, Json, TokenFile, client_of
from escalade.cli.tables import print_rows
from escalade.errors import InputError

if TYPE_CHECKING:
    from escalade.profiler.head.told import Output, SessionTold

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def profile(
    head: Head,
    *,
    name: Annotated[
        str | None, typer.Option(help="Of the session; made from the time by default.")
    ] = None,
    from_time: Annotated[
        str | None, typer.Option("--from", help="ISO time in the past that it begins at.")
    ] = None,
    to_time: Annotated[
        str | None, typer.Option("--to", help="ISO time in the past that it ends at.")
    ] = None,
    last: Annotated[
        str | None, typer.Option(help="Begin so long ago, as in 90s, 10m or 2h.")
    ] = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Begin a session, or cut one out of the past.

    What nodes send is stored all the time: a session is a window over it, several may overlap.
    Exit code 2 when the name is taken, 3 when no head answers.
    """
    if last is not None and from_time is not None:
        raise InputError("--last and --from: expected one of them.")
    start = moment("--from", from_time)
    if last is not None:
        start = time.time() - _seconds(last)
    with client_of(head, token_file) as client:
        session = client.start(name, start, moment("--to", to_time))
    if as_json:
        typer.echo(session.model_dump_json(indent=1))
        return
    begun = "runs" if session.end_time is None else "is cut out of the past"
    say(f"{session.name}: {begun}, readings every {session.interval_ms} ms")
    if session.end_time is not None:
        say(f"Its files:  escalade profile stop {head} --name {session.name}")


def status(head: Head, *, token_file: TokenFile = None, as_json: Json = False) -> None:
    """Tell how the head is: its nodes, its sessions.

    Exit code 3 when no head answers.
    """
    with client_of(head, token_file) as client:
        told, nodes, sessions = client.status(), client.clients(), client.sessions()
    if as_json:
        content = {
            **told.model_dump(),
            "clients": [node.model_dump() for node in nodes],
            "sessions": [session.model_dump() for session in sessions],
        }
        typer.echo(json.dumps(content, indent=1))
        return
    extras = [name for name in ("bandwidth", "nvlink") if getattr(told, name)]
    also = f", with {' and '.join(extras)}" if extras else ""
    say(f"Head {client.address}: readings every {told.interval_ms} ms{also}; data {told.database}")
    if nodes:
        print_rows(
            ("node", "state", "last sent", "GPUs", "clock (s)", "queued", "refused"),
            [
                (
                    node.node,
                    "left" if node.left else "healthy" if node.healthy else "UNHEALTHY",
                    ago(node.last_sample),
                    str(node.gpus),
                    ""
                    if node.clock_offset_seconds is None
                    else f"{node.clock_offset_seconds:+.3f}",
                    "" if node.queue_bytes is None else str(node.queue_bytes),
                    str(node.rejected),
                )
                for node in nodes
            ],
        )
    else:
        say("No node has connected yet.")
    if sessions:
        print_rows(
            ("session", "state", "start", "seconds"),
            [(it.name, it.state, _iso(it.start_time), _length(it)) for it in sessions],
        )
    else:
        say("No session yet.")


def stop(
    head: Head,
    *,
    name: Annotated[str | None, typer.Option(help="Of the session; all by default.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that the JSON and Parquet files are also fetched to."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(min=0, max=60, help="Seconds to wait for readings that are under way."),
    ] = 5.0,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """End one session or all, and write their files.

    A session that has ended is written again, with what came since. Exit code 2 when there is no
    such session, 3 when no head answers or a disk is full.
    """
    with client_of(head, token_file) as client:
        stopped = client.stop(name, wait)
        fetched = [] if out is None else _fetched(client, stopped, out)
    if as_json:
        content = [it.model_dump() for it in stopped]
        typer.echo(
            json.dumps({"stopped": content, "fetched": [str(it) for it in fetched]}, indent=1)
        )
        return
    if not stopped:
        say("No session runs.")
    for output in stopped:
        tell_output(output, head)
    for path in fetched:
        say(f"Fetched: {path}")


def tell_output(output: Output, head: str) -> None:
    """Print what was written of a session."""
    session = output.session
    say(f"{session.name}: {_length(session)} s, {output.frames} frames, {output.gpus} GPUs")
    for path in output.files:
        say(f"  {path}")
    if not output.frames:
        warn("  It holds no reading: no node sent any in this window.")
    if output.incomplete:
        warn(
            f"  Readings of {', '.join(output.incomplete)} may still come. When they are there: "
            f"escalade profile stop {head} --name {session.name}"
        )


def _fetched(client: object, stopped: list[Output], out: Path) -> list[Path]:
    from escalade.profiler.client import ProfilerClient  # noqa: PLC0415
    from escalade.profiler.outputs import FORMATS  # noqa: PLC0415

    assert isinstance(client, ProfilerClient)  # noqa: S101 - as `client_of` gives it
    paths = []
    for output in stopped:
        for kind in FORMATS:
            path = out / f"{output.session.name}.{kind}"
            client.fetch(output.session.name, kind, path)
            paths.append(path)
    return paths


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise InputError(f"--last {text!r}: expected a time as in 90s, 10m, 2h or 7d.")
    return seconds


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(timespec="seconds")


def _length(session: SessionTold) -> str:
    return f"{(session.end_time or time.time()) - session.start_time:.1f}"
