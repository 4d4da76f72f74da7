"""What holds an allocation ends it when the run's lease stands still, and not before."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

from escalade.runtime import lease
from escalade.runtime.slurm import hold

if TYPE_CHECKING:
    from pathlib import Path


def test_it_ends_when_the_lease_stands_still_and_lives_while_it_moves(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    lease.create(path)
    child = subprocess.Popen(hold.command(path, 1.5), stderr=subprocess.PIPE, text=True)
    for count in range(1, 15):  # 2.8 s, longer than the lease
        lease.advance(path, count)
        time.sleep(0.2)
        assert child.poll() is None

    _, said = child.communicate(timeout=10)

    assert child.returncode == hold.STALE
    assert "the driver of the run is gone" in said


def test_a_lease_that_is_gone_counts_as_one_that_stands_still(tmp_path: Path) -> None:
    child = subprocess.Popen(hold.command(tmp_path / "none", 0.5), stderr=subprocess.DEVNULL)

    assert child.wait(10) == hold.STALE


def test_a_signal_ends_it_well(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    lease.create(path)
    child = subprocess.Popen(hold.command(path, 60), stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)

    assert child.wait(10) in (0, -signal.SIGTERM)  # the latter before it listened
