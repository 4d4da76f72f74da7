"""`escalade profile record` and `export`: a recording of one node, and its files."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from escalade.cli.monitor.options import say
from escalade.cli.profile.moments import moment
from escalade.errors import InputError


def record(
    *,
    out: Annotated[Path, typer.Option(help="The SQLite file; it goes on where it is there.")],
    freq: Annotated[
        int, typer.Option(help="Milliseconds between two readings, 50 to 600,000.")
    ] = 250,
    enable_bandwidth: Annotated[
        bool, typer.Option("--enable-bandwidth", help="Also read bytes over PCIe.")
    ] = False,
    enable_nvlink: Annotated[
        bool, typer.Option("--enable-nvlink", help="Also read bytes over NVLink.")
    ] = False,
    duration: Annotated[
        float | None, typer.Option(min=0, help="Seconds to record; until Ctrl-C by default.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of this node; its host name by default.")
    ] = None,
) -> None:
    """Read the GPUs of this node into one file, without a head and without other programs.

    Exit code 2 when the file is something else, 3 when there is no GPU or the disk is full.
    """
    from escalade.profiler.head.folder import HeadSettings  # noqa: PLC0415

    interval = HeadSettings(freq).interval_ms
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "escalade.profiler.recorder"]
    command += [str(out), name or socket.gethostname(), str(interval)]
    command += ["--bandwidth"] * enable_bandwidth + ["--nvlink"] * enable_nvlink
    command += [] if duration is None else ["--seconds", str(duration)]
    # What the command line has loaded would stay with the recorder for days.
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


def export(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings.")],
    *,
    out: Annotated[Path, typer.Option(help="The file to write: NAME.json or NAME.parquet.")],
    from_time: Annotated[
        str | None, typer.Option("--from", help="ISO time; the first reading by default.")
    ] = None,
    to_time: Annotated[
        str | None, typer.Option("--to", help="ISO time; behind the last reading by default.")
    ] = None,
) -> None:
    """Write recordings of one node or several as a session's file.

    Exit code 2 when a file is no recording, or holds nothing in that time.
    """
    from escalade.profiler.outputs import FORMATS, write_files  # noqa: PLC0415
    from escalade.profiler.recording import Recording, Recordings  # noqa: PLC0415
    from escalade.profiler.sessions import Session  # noqa: PLC0415

    kind = next((it for it in FORMATS if out.suffix == f".{it}"), None)
    if kind is None:
        raise InputError(f"--out {out}: expected a name that ends in .json or .parquet.")
    several = [Recording(path) for path in files]
    intervals = {one.interval_ms for one in several}
    if len(intervals) > 1:
        words = ", ".join(f"{one.path}: {one.interval_ms} ms" for one in several)
        raise InputError(
            f"The recordings have different intervals ({words}): export them one by one."
        )
    spans = [one.span() for one in several]
    interval_ms = intervals.pop()
    start, end = moment("--from", from_time), moment("--to", to_time)
    session = Session(
        id=out.stem,
        name=out.stem,
        start=min(first for first, _ in spans) if start is None else start,
        end=max(last for _, last in spans) + interval_ms / 1000 if end is None else end,
        interval_ms=interval_ms,
        bandwidth=any(one.bandwidth for one in several),
        nvlink=any(one.nvlink for one in several),
    )
    if session.end is not None and session.end <= session.start:
        raise InputError("--from and --to: the window is empty; expected --from before --to.")
    written = write_files(session, Recordings(several), [(kind, out)])
    say(f"{out}: {written.frames} frames, {written.gpus} GPUs")
