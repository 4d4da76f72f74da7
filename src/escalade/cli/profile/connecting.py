"""`escalade profile connect` and `drain`: the agent of a node."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from escalade.cli.profile.options import (
    DATA,
    VARIABLE,
    Head,
    TokenFile,
    address_of,
    token_file_of,
)
from escalade.errors import InfrastructureError, InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def connect(
    head: Head,
    *,
    resilient: Annotated[
        bool,
        typer.Option("--resilient", help="Begin also while the head is away; readings are kept."),
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Of this node; its host name by default.")
    ] = None,
    queue: Annotated[
        Path | None,
        typer.Option(help=f"Folder of what was not sent yet; {DATA}/nodes/NAME by default."),
    ] = None,
    freq: Annotated[
        int | None,
        typer.Option(help="Milliseconds between two readings; what the head says by default."),
    ] = None,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="How long to send what waits, at the end.")
    ] = 10.0,
    token_file: TokenFile = None,
) -> None:
    """Read the GPUs of this node, and send them to a head, until Ctrl-C.

    What the head does not take is kept on disk and sent when it is back, however this is
    configured. Exit code 2 for another token or a name that is taken, 3 when there is no GPU, the
    head does not answer (without --resilient), or clocks differ by more than a minute.
    """
    from escalade.monitoring.http.tokens import read_token  # noqa: PLC0415
    from escalade.profiler.head.folder import HeadSettings  # noqa: PLC0415
    from escalade.profiler.node.agent import MOST_SKEW_SECONDS  # noqa: PLC0415
    from escalade.profiler.node.folder import NodeFolder, NodeSettings  # noqa: PLC0415
    from escalade.profiler.node.head import HeadLine, HeadUnreachableError  # noqa: PLC0415
    from escalade.runtime import tools  # noqa: PLC0415

    node, address = _checked(name or socket.gethostname()), address_of(head)
    folder = NodeFolder(queue or DATA / "nodes" / node)
    folder.make()
    file = token_file_of(token_file) or _from_environment(folder.root)
    line = HeadLine(address, None if file is None else read_token(file))
    known = folder.read()
    wanted = HeadSettings(known.interval_ms, known.bandwidth, known.nvlink) if known else None
    try:
        offset = line.clock_offset()
        if abs(offset) > MOST_SKEW_SECONDS:
            raise InfrastructureError(
                f"The clock of this node is {offset:+,.0f} s off the head's: its readings would lie "
                "in another time than the sessions. Set it (`timedatectl`, chrony), then connect."
            )
        told = line.connect(node, folder.instance(), 0, offset)
        wanted = HeadSettings(
            int(told["interval_ms"]), bool(told["bandwidth"]), bool(told["nvlink"])
        )
    except HeadUnreachableError as error:
        if not resilient:
            raise
        typer.echo(f"{error} Readings are kept until it answers.", err=True)
    wanted = wanted or HeadSettings()
    settings = NodeSettings(
        head=address,
        name=node,
        interval_ms=HeadSettings(freq or wanted.interval_ms).interval_ms,
        bandwidth=wanted.bandwidth,
        nvlink=wanted.nvlink,
        vmagent=str(tools.ensure("vmagent", lambda text: typer.echo(text, err=True)).path),
        token_file=None if file is None else str(file.resolve()),
        drain_seconds=drain_seconds,
    )
    folder.write(settings)
    # What the command line has loaded would stay with the agent for days.
    os.execv(  # noqa: S606 - no shell is wanted
        sys.executable,
        [sys.executable, "-P", "-m", "escalade.profiler.node.agent", str(folder.root)],
    )


def drain(
    queue: Annotated[Path, typer.Argument(metavar="QUEUE", help="Folder of an agent that ended.")],
    head: Head,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="How long at most.")] = 600.0,
    token_file: TokenFile = None,
) -> None:
    """Send what an agent left in its queue; exit code 3 when something is left."""
    import dataclasses  # noqa: PLC0415

    from escalade.monitoring.http.tokens import read_token  # noqa: PLC0415
    from escalade.profiler.node import agent  # noqa: PLC0415
    from escalade.profiler.node.folder import NodeFolder  # noqa: PLC0415
    from escalade.profiler.node.head import HeadLine  # noqa: PLC0415
    from escalade.runtime import tools  # noqa: PLC0415

    folder = NodeFolder(queue)
    settings = folder.read()
    if settings is None:
        raise InputError(f"{queue} is no folder of an agent: expected one that `connect` made.")
    file = token_file_of(token_file)
    line = HeadLine(address_of(head), None if file is None else read_token(file))
    line.clock_offset()  # raises where no head answers
    settings = dataclasses.replace(
        settings, head=address_of(head), vmagent=str(tools.ensure("vmagent").path)
    )
    with folder.hold():
        left = agent.drain(folder, settings, seconds, line)
    if left != 0:
        raise InfrastructureError(
            f"Something is left in {folder.root} after {seconds:g} s. Nothing of it is lost: run "
            f"this again; {folder.log} has vmagent's own words."
        )
    typer.echo(f"{settings.name}: everything in {folder.root} was sent.")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name {name[:80]!r}: expected 1 to 64 letters, digits, '.', '_' or '-', and a letter "
            "or digit first."
        )
    return name


def _from_environment(folder: Path) -> Path | None:
    """Keep a token of the environment in a file of the queue: the agent's children get no token."""
    from escalade.monitoring.http.tokens import checked  # noqa: PLC0415

    token = os.environ.pop(VARIABLE, None)
    if token is None:
        return None
    file = folder / "token"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(checked(token, VARIABLE))
    return file
