"""The queue as vmagent keeps it on disk, read before vmagent opens it.

vmagent drops what it can't read, with a line in its log: a queue that is damaged has to be found
before. The layout is that of VictoriaMetrics' `lib/persistentqueue`: `metainfo.json` with two
offsets, and chunks of blocks, each with its length before it in eight bytes, the highest first.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK_BYTES = (512 - 32) << 20
_BLOCK_BYTES = 32 << 20
_LENGTH = struct.Struct(">Q")


def damage(queue: Path) -> str | None:
    """Say what is wrong with a queue; None of one that is whole, or empty.

    Parameters
    ----------
    queue
        vmagent's `-remoteWrite.tmpDataPath`; no vmagent must have it open.
    """
    for folder in queue.glob("persistent-queue/*"):
        try:
            if (why := _damage_of(folder)) is not None:
                return f"{folder}: {why}"
        except OSError as error:
            return f"{folder}: {error.strerror}"
    return None


def waiting_bytes(queue: Path) -> int | None:
    """Give what waits in a queue, in bytes; None where it can't be read."""
    try:
        folders = list(queue.glob("persistent-queue/*"))
        return sum(end - begin for begin, end in map(_offsets, folders) if end > begin)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _offsets(folder: Path) -> tuple[int, int]:
    content = json.loads((folder / "metainfo.json").read_bytes())
    return int(content["ReaderOffset"]), int(content["WriterOffset"])


def _damage_of(folder: Path) -> str | None:
    chunks = [path for path in folder.iterdir() if path.name.isalnum()]
    if not any(path.stat().st_size for path in chunks):
        return None
    try:
        at, end = _offsets(folder)
    except (ValueError, KeyError, TypeError):
        return "metainfo.json can't be read"
    except FileNotFoundError:
        return "metainfo.json is missing"
    if at > end:
        return "metainfo.json has the reader behind the writer"
    while at < end:
        start = at - at % _CHUNK_BYTES
        until = min(end, start + _CHUNK_BYTES)
        at, why = _walk(folder / f"{start:016X}", at - start, until - start)
        at += start
        if why is not None:
            return why
        if until < end:
            at = until
    return None


def _walk(chunk: Path, at: int, end: int) -> tuple[int, str | None]:
    """Walk over the blocks of a chunk; say where it does not go on."""
    with chunk.open("rb") as opened:
        while at < end:
            opened.seek(at)
            head = opened.read(_LENGTH.size)
            if len(head) < _LENGTH.size:
                return at, f"{chunk.name} ends at byte {at}, before its end at {end}"
            (length,) = _LENGTH.unpack(head)
            if length > _BLOCK_BYTES:
                return at, f"{chunk.name} has no block at byte {at}"
            at += _LENGTH.size + length
    if at > end or chunk.stat().st_size < end:
        return at, f"{chunk.name} has half a block at its end"
    return at, None
