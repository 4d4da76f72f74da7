"""`escalade profile recover`: sessions of a head, also of one that died."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from escalade.cli.monitor.options import say
from escalade.cli.profile.options import DATA, Data, Json
from escalade.cli.tables import print_rows
from escalade.errors import AbsentError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.profiler.head.folder import HeadFolder
    from escalade.profiler.sessions import Session


def recover(
    *,
    listed: Annotated[bool, typer.Option("--list", help="List all sessions.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the session.")] = None,
    session_id: Annotated[str | None, typer.Option(help="Its id, in place of its name.")] = None,
    export: Annotated[
        bool, typer.Option("--export", help="Write its files, also without a head that runs.")
    ] = False,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """List, resume or export the sessions of a head, also of one that died.

    Without --export the session goes on, as if it had not been ended. Exit code 2 when there is no
    such folder or session.
    """
    from escalade.profiler.head.folder import HeadFolder  # noqa: PLC0415

    folder = HeadFolder(data)
    if not folder.exists():
        raise AbsentError(f"No head ever worked in {folder.root}: name its folder by --data.")
    wanted = name or session_id
    if wanted is None:
        if export:
            raise InputError(
                "--export: expected --name or --session-id with it; --list lists them."
            )
        _list(folder, as_json=as_json)
        return
    if listed:
        raise InputError("--list: expected it alone.")
    session = folder.sessions.find(wanted)
    if export:
        files = _export(folder, session)
        if as_json:
            typer.echo(json.dumps({"session": session.name, "files": [str(it) for it in files]}))
            return
        for path in files:
            say(str(path))
        return
    resumed = folder.sessions.resume(session)
    if as_json:
        typer.echo(json.dumps({"session": resumed.name, "id": resumed.id, "state": "running"}))
        return
    words = "runs already" if session.runs else "goes on"
    say(f"{session.name} {words}, from its start and without a gap.")
    if not folder.held():
        say(f"No head works here: `escalade profile start --data {data}` takes up what nodes kept.")


def _list(folder: HeadFolder, *, as_json: bool) -> None:
    sessions, held = folder.sessions.all(), folder.held()
    if as_json:
        import dataclasses  # noqa: PLC0415

        content = [dataclasses.asdict(session) for session in sessions]
        typer.echo(json.dumps({"head": held, "sessions": content}, indent=1))
        return
    say(f"Head: {'works at ' + (folder.address() or '?') if held else 'does not run'}")
    if not sessions:
        say("No session.")
        return
    print_rows(
        ("session", "id", "state", "start", "seconds"),
        [
            (
                it.name,
                it.id,
                "ended" if not it.runs else "running" if held else "interrupted",
                time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(it.start)),
                f"{(it.end or time.time()) - it.start:.1f}",
            )
            for it in sessions
        ],
    )


def _export(folder: HeadFolder, session: Session) -> tuple[Path, ...]:
    """Write the files of a session, by the head that runs or by a Prometheus for this moment."""
    from escalade.profiler.head.reopened import reopened  # noqa: PLC0415
    from escalade.profiler.outputs import write_outputs  # noqa: PLC0415
    from escalade.profiler.stored import StoredReadings  # noqa: PLC0415

    with reopened(folder, lambda text: typer.echo(text, err=True)) as url:
        return write_outputs(session, StoredReadings(url), folder.output).files
