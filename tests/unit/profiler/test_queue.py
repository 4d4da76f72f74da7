"""A damaged queue is found before vmagent would drop it."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.profiler.node.queue import damage, waiting_bytes

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = [b"first block", b"", b"x" * 70_000]


def queue_of(folder: Path, blocks: list[bytes], read: int = 0) -> Path:
    """Write a queue of which some blocks were read already."""
    place = folder / "persistent-queue" / "1_AB"
    place.mkdir(parents=True, exist_ok=True)
    framed = [struct.pack(">Q", len(block)) + block for block in blocks]
    (place / "0000000000000000").write_bytes(b"".join(framed))
    offsets = {
        "Name": "1:secret-url",
        "ReaderOffset": sum(map(len, framed[:read])),
        "WriterOffset": sum(map(len, framed)),
    }
    (place / "metainfo.json").write_text(json.dumps(offsets))
    return folder


def test_a_queue_that_was_never_used_is_whole(tmp_path: Path) -> None:
    assert damage(tmp_path) is None
    assert damage(tmp_path / "absent") is None
    assert waiting_bytes(tmp_path) == 0


@given(st.lists(st.binary(max_size=200), max_size=8), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_was_written_and_read_is_whole(
    tmp_path: Path, blocks: list[bytes], data: st.DataObject
) -> None:
    read = data.draw(st.integers(0, len(blocks)))
    queue = queue_of(tmp_path, blocks, read)

    assert damage(queue) is None
    assert waiting_bytes(queue) == sum(8 + len(block) for block in blocks[read:])


def test_bytes_behind_the_last_block_are_no_damage(tmp_path: Path) -> None:
    queue = queue_of(tmp_path, BLOCKS)
    with next(tmp_path.rglob("0000000000000000")).open("ab") as chunk:
        chunk.write(b"written, and killed before the offset was")

    assert damage(queue) is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("metainfo.json", b"garbage", "metainfo.json can't be read"),
        ("metainfo.json", b"[]", "metainfo.json can't be read"),
        ("metainfo.json", b'{"ReaderOffset": 9, "WriterOffset": 1}', "reader behind the writer"),
        ("0000000000000000", b"not a block" * 10_000, "no block at byte 0"),
        ("0000000000000000", struct.pack(">Q", 11) + b"first", "half a block at its end"),
        ("0000000000000000", b"1234", "ends at byte 0"),
    ],
)
def test_what_is_damaged_is_said(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    queue = queue_of(tmp_path, BLOCKS[:1])
    next(tmp_path.rglob(name)).write_bytes(content)

    assert words in str(damage(queue))


def test_chunks_without_their_offsets_are_damage(tmp_path: Path) -> None:
    queue = queue_of(tmp_path, BLOCKS)
    next(tmp_path.rglob("metainfo.json")).unlink()

    assert "metainfo.json is missing" in str(damage(queue))
    assert waiting_bytes(queue) is None
