"""Processes by identity."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from escalade.runtime import processes
from escalade.runtime.processes import Identity


def test_a_name_with_parentheses_and_spaces_does_not_confuse_the_reader(tmp_path: object) -> None:
    program = f"{tmp_path}/a ) R 1 (b"
    Path(program).symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "60"])
    try:
        found = processes.read_stat(child.pid)
        assert found is not None
        assert found.parent == os.getpid()
        assert found.session == os.getsid(0)
    finally:
        child.kill()
        child.wait()


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["true"])
    identity = processes.read_identity(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert identity is not None
    assert not identity.alive()
    assert child.pid not in processes.snapshot()
    child.wait()


def test_another_process_of_the_same_pid_is_not_alive_and_gets_no_signal() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        real = processes.identify(child.pid)
        assert real is not None
        other = Identity(child.pid, real.start_time - 1)

        assert real.alive()
        assert not other.alive()
        assert not processes.send(other, 9)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_descendants_and_lineage_follow_parents() -> None:
    stats = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1)]
    table = {pid: processes.Stat(pid, "S", parent, 0, 0, 0) for pid, parent in stats}

    assert processes.descendants([2], table) == {3, 4}
    assert processes.descendants([1], table) == {2, 3, 4, 5}
    assert processes.lineage(4, table) == {4, 3, 2, 1}


def test_a_mark_is_found_whole_and_not_as_a_part() -> None:
    child = subprocess.Popen(["sleep", "60"], env={"ESCALADE_ALLOCATION": "cell.12"})
    try:
        deadline = time.monotonic() + 5
        table = processes.snapshot()
        while (
            processes.marked("ESCALADE_ALLOCATION", "cell.12", table) != {child.pid}
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)

        assert processes.marked("ESCALADE_ALLOCATION", "cell.12", table) == {child.pid}
        assert processes.marked("ESCALADE_ALLOCATION", "cell.1", table) == set()
    finally:
        child.kill()
        child.wait()


def test_the_start_of_a_process_is_known_in_unix_time() -> None:
    before = time.time()
    child = subprocess.Popen(["sleep", "60"])
    try:
        identity = processes.identify(child.pid)
        assert identity is not None
        assert abs(processes.started_unix(identity) - before) < 2.0
    finally:
        child.kill()
        child.wait()
