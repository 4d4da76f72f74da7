"""Queues that are damaged, and disks that are full."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from profiling import Rig, until
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Give a folder on a disk of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "escalade-test", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        require_or_skip("tmpfs", "a small disk of its own needs root and mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill what is left of a disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as opened:
        try:
            while opened.write(bytes(1 << 20)):
                pass
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


def healthy(rig: Rig) -> None:
    until(lambda: rig.ask("status", rig.address)["healthy"] == 1)


def test_a_queue_that_can_not_be_read_is_moved_aside_whole(rig: Rig) -> None:
    rig.head()
    rig.node("alpha").until("read every")
    time.sleep(2)
    rig.children[1].end()
    (metainfo,) = rig.queue("alpha").rglob("metainfo.json")
    (chunk,) = (path for path in metainfo.parent.iterdir() if path.name.isalnum())
    chunk.write_bytes(b"not a block" * 1000)
    metainfo.write_text('{"Name":"x","ReaderOffset":0,"WriterOffset":11000}')

    again = rig.node("alpha")
    healthy(rig)

    assert "has no block at byte 0" in again.until("the queue can't be read")
    (aside,) = rig.queue("alpha").glob("queue.damaged-*")
    assert next(aside.rglob(chunk.name)).read_bytes() == b"not a block" * 1000


@pytest.mark.slow
def test_a_full_disk_on_a_node_is_said_and_passes(rig: Rig) -> None:
    rig.head()
    with small_disk(rig.queue("alpha"), 64) as folder:
        node = rig.node("alpha")
        healthy(rig)
        rig.run("profile", rig.address, "--name", "one")
        with filled(folder):
            time.sleep(4)
        time.sleep(3)

        told = rig.stop("one")
        node.end()

    assert told["frames"][-1]["gpu_id"], node.said
    assert "Traceback" not in node.said


@pytest.mark.slow
def test_a_full_disk_on_the_head_loses_nothing(rig: Rig) -> None:
    with small_disk(rig.data, 64) as folder:
        rig.head()
        node = rig.node("alpha")
        healthy(rig)
        rig.run("profile", rig.address, "--name", "one")
        time.sleep(2)
        with filled(folder):
            time.sleep(5)
            full = rig.run("profile", rig.address, "--name", "two", code=3)
        node.until("is back after")
        time.sleep(3)

        told = rig.stop("one")

        assert "could not be written" in full
        ticks = [frame["frame_id"] for frame in told["frames"]]
        assert ticks == list(range(ticks[0], ticks[-1] + 1))
        assert told["gaps"] == []
        rig.children[0].end()
