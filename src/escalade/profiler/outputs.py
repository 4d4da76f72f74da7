"""The files of a session in a folder: named after it, each written as a whole."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from escalade.files import replacing
from escalade.profiler.columns import cells_of
from escalade.profiler.export import JsonWriter, ParquetWriter
from escalade.profiler.frames import Framing
from escalade.profiler.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from escalade.profiler.export import Writer
    from escalade.profiler.reading import Source
    from escalade.profiler.sessions import Session

Format = Literal["json", "parquet"]
FORMATS: tuple[Format, ...] = ("json", "parquet")
_WRITERS: dict[Format, Callable[[Path, Session, float], Writer]] = {
    "json": JsonWriter,
    "parquet": ParquetWriter,
}


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Parameters
    ----------
    files
        One for each format, in their order.
    frames, gpus
        How many it has.
    """

    files: tuple[Path, ...]
    frames: int
    gpus: int


def write_outputs(
    session: Session, source: Source, folder: Path, formats: Sequence[Format] = FORMATS
) -> Written:
    """Write the files of a session, up to now where it runs.

    Parameters
    ----------
    session
        Its window and its columns.
    source
        Where its readings are stored; they are read once.
    folder
        Gets `NAME.json` and `NAME.parquet`; made where it is missing.
    formats
        Which of them.

    Raises
    ------
    InfrastructureError
        When the disk is full or the folder can't be written: files that were there stay as they
        were.
    """
    return write_files(
        session, source, [(kind, folder / f"{session.name}.{kind}") for kind in formats]
    )


def write_files(session: Session, source: Source, wanted: Sequence[tuple[Format, Path]]) -> Written:
    """Do the same with files of any name, each with its format."""
    end = time.time() if session.end is None else session.end
    interval = session.interval_ms / 1000
    framing = Framing(session.start, end, interval)
    summary = Summary(max(1, math.floor((end - session.start) / interval)))
    with contextlib.ExitStack() as stack:
        writers: list[Writer] = [
            _WRITERS[kind](stack.enter_context(replacing(path)), session, end)
            for kind, path in wanted
        ]
        for frame in framing.frames(source.readings(session.start, end)):
            cells = cells_of(frame)
            summary.add(frame, cells)
            for writer in writers:
                writer.add(frame, cells)
        for writer in writers:
            writer.close(summary, framing.gaps)
    return Written(tuple(path for _, path in wanted), summary.frames, summary.gpus)
