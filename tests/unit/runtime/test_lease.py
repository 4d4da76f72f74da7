"""The lease: judged by the watcher's own clock, and only while it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime import lease
from escalade.runtime.lease import LeaseWatch

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def looks(watch: LeaseWatch, clock: Clock, seconds: float, every: float) -> list[bool]:
    found = []
    for _ in range(round(seconds / every)):
        clock.now += every
        found.append(watch.stale())
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lease.create(tmp_path / "lease")
    return tmp_path / "lease"


def test_a_counter_that_stands_still_is_stale_after_the_lease_and_not_before(path: Path) -> None:
    clock = Clock()
    watch = LeaseWatch(path, 15, clock)

    found = looks(watch, clock, 16, every=0.5)

    assert found == [False] * 30 + [True] * 2  # 15.0 s is still good, 15.5 s is not


def test_every_change_of_the_counter_starts_the_lease_anew(path: Path) -> None:
    clock = Clock()
    watch = LeaseWatch(path, 15, clock)

    for count in range(1, 4):
        lease.advance(path, count)
        assert not any(looks(watch, clock, 14, every=0.5))


def test_a_counter_that_goes_backwards_counts_as_change(path: Path) -> None:
    clock = Clock()
    lease.advance(path, 9)
    watch = LeaseWatch(path, 2, clock)
    lease.advance(path, 1)

    assert not any(looks(watch, clock, 2, every=0.25))


def test_time_in_which_nobody_looked_is_not_held_against_the_lease(path: Path) -> None:
    clock = Clock()
    watch = LeaseWatch(path, 15, clock)

    clock.now += 3600  # the laptop slept, keeper and watcher alike

    assert not watch.stale()
    assert not any(looks(watch, clock, 11, every=0.5))
    assert any(looks(watch, clock, 1, every=0.5))  # 3.75 s for the gap, 11.25 s since


def test_a_lease_that_vanished_stands_still(path: Path) -> None:
    clock = Clock()
    watch = LeaseWatch(path, 2, clock)
    path.unlink()

    assert looks(watch, clock, 2.5, every=0.25)[-1]


def test_advancing_needs_no_new_block_on_disk(path: Path) -> None:
    before = path.stat()

    lease.advance(path, 12345)

    assert path.read_text() == "00000000000000012345\n"
    assert (path.stat().st_ino, path.stat().st_blocks) == (before.st_ino, before.st_blocks)


def test_a_lease_in_a_folder_that_cant_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="could not be written"):
        lease.create(tmp_path / "file" / "lease")
