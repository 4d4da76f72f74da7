"""What happens in a run, as lines of a file: read by whoever shows progress.

Stages of cells run in processes of their own; each appends whole lines, so
that a reader never needs to ask them.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["started", "ended", "failed", "note"]


@dataclass(frozen=True)
class Event:
    """One line: a stage of a cell started, ended, failed, or has something to say."""

    at: float
    cell: str
    stage: str
    kind: Kind
    message: str = ""


def append(path: Path, cell: str, stage: str, kind: Kind, message: str = "") -> None:
    """Append one event in one write: lines of several processes do not mix."""
    line = json.dumps(asdict(Event(time.time(), cell, stage, kind, message))) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(path: Path, after: int = 0) -> tuple[list[Event], int]:
    """Read the events that stand after byte `after`; give them and the next `after`.

    A last line that is not complete yet is left for the next reading.
    """
    try:
        with path.open("rb") as opened:
            opened.seek(after)
            text = opened.read()
    except FileNotFoundError:
        return [], after
    whole = text[: text.rfind(b"\n") + 1]
    events = [Event(**json.loads(line)) for line in whole.splitlines()]
    return events, after + len(whole)
