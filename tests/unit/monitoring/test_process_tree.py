"""CPU time, memory and threads are those of the whole tree, and no CPU time is ever lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from escalade.monitoring.process_tree import Allowance, ProcessTable, StepTree
from escalade.runtime.processes import Identity, identify, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalade.monitoring import process_tree

# The kernel counts in ticks of 10 ms and cuts off the rest, for user and system time each:
# 0.2 s burnt show as 0.17 or more.
BURN = """
import os, time
def burn(seconds):
    while time.process_time() < seconds: pass
"""


class Step:
    """A program that obeys, line by line, in a session of its own as every step."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-uc", BURN + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        found = identify(self.process.pid)
        assert found is not None
        self.root = found
        self.tree = StepTree(found)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def usage(self) -> process_tree.Usage:
        usage = self.tree.usage(snapshot())
        assert usage is not None
        return usage

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def begin() -> Iterator[Callable[[str], Step]]:
    steps: list[Step] = []

    def start(code: str) -> Step:
        steps.append(Step(code))
        return steps[-1]

    yield start
    for step in steps:
        step.end()


def test_a_child_counts_while_it_lives_and_after_its_parent_waited_for_it(
    begin: Callable[[str], Step],
) -> None:
    step = begin("""
child = os.fork()
if child == 0:
    burn(0.2); print("burnt"); input(); os._exit(0)
os.wait(); print("waited"); time.sleep(60)
""")
    assert step.hear() == "burnt"
    before = step.usage()
    step.tell()
    assert step.hear() == "waited"
    after = step.usage()

    assert before.processes == 2
    assert after.processes == 1
    assert 0.17 <= before.cpu_seconds <= after.cpu_seconds < before.cpu_seconds + 0.1


def test_a_child_that_nobody_waited_for_still_counts(begin: Callable[[str], Step]) -> None:
    step = begin("""
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets it at once
if os.fork() == 0:
    burn(0.2); print("burnt"); input(); os._exit(0)
try: os.wait()
except ChildProcessError: print("gone"); time.sleep(60)
""")
    assert step.hear() == "burnt"
    before = step.usage()
    step.tell()
    assert step.hear() == "gone"
    after = step.usage()

    assert after.processes == 1
    assert 0.17 <= before.cpu_seconds <= after.cpu_seconds < before.cpu_seconds + 0.1


def test_a_child_born_and_gone_between_two_looks_counts(begin: Callable[[str], Step]) -> None:
    step = begin("""
print("ready"); input()
if os.fork() == 0:
    burn(0.2); os._exit(0)
os.wait(); print("waited"); time.sleep(60)
""")
    assert step.hear() == "ready"
    before = step.usage()
    step.tell()
    assert step.hear() == "waited"

    assert step.usage().cpu_seconds >= before.cpu_seconds + 0.17


def test_an_orphan_stays_a_member_also_in_a_session_of_its_own(
    begin: Callable[[str], Step],
) -> None:
    step = begin("""
if os.fork() == 0:
    os.setsid(); print("child"); input(); time.sleep(60)
time.sleep(60)
""")
    assert step.hear() == "child"
    assert step.usage().processes == 2
    os.kill(step.process.pid, signal.SIGKILL)
    step.process.wait()
    usage = step.usage()

    assert usage.processes == 1
    for identity in step.tree._members:
        os.kill(identity.pid, signal.SIGKILL)


def test_a_zombie_keeps_its_cpu_time_and_has_no_memory(begin: Callable[[str], Step]) -> None:
    step = begin("""
child = os.fork()
if child == 0:
    burn(0.2); print("burnt"); input(); os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
print("zombie"); input(); os.wait(); print("waited"); time.sleep(60)
""")
    assert step.hear() == "burnt"
    before = step.usage()
    step.tell()
    assert step.hear() == "zombie"
    between = step.usage()
    step.tell()
    assert step.hear() == "waited"
    after = step.usage()

    assert (before.processes, between.processes, after.processes) == (2, 1, 1)
    assert 0.17 <= before.cpu_seconds <= between.cpu_seconds <= after.cpu_seconds
    assert after.cpu_seconds < before.cpu_seconds + 0.1


def test_nothing_alive_is_none_and_not_zero(begin: Callable[[str], Step]) -> None:
    step = begin("print('here'); time.sleep(60)")
    step.hear()
    assert step.usage().processes == 1
    step.end()

    assert step.tree.usage(snapshot()) is None


def test_another_process_with_the_old_pid_is_no_member(begin: Callable[[str], Step]) -> None:
    step = begin("print('here'); time.sleep(60)")
    step.hear()

    assert StepTree(Identity(step.root.pid, step.root.start_time - 1)).usage({}) is None


def test_shared_pages_count_once(begin: Callable[[str], Step]) -> None:
    step = begin("""
held = b"x" * 50_000_000
for _ in range(3):
    if os.fork() == 0: print("child"); time.sleep(60)
time.sleep(60)
""")
    for _ in range(3):
        step.hear()
    usage = step.usage()

    assert usage.memory_kind == "pss"
    assert usage.processes == usage.threads == 4
    assert 50e6 < usage.memory_bytes < 120e6  # four times 50 MB would be 200


def test_memory_is_resident_size_where_one_process_hides_its_share(
    begin: Callable[[str], Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, "memory_full_info", denied)
    step = begin("print('here'); time.sleep(60)")
    step.hear()
    usage = step.usage()

    assert usage.memory_kind == "rss"
    assert usage.memory_bytes == psutil.Process(step.root.pid).memory_info().rss


def test_a_costly_reading_takes_its_share_of_the_time_and_no_more() -> None:
    now = 100.0
    allowance = Allowance(share=0.01, clock=lambda: now)
    assert allowance.due()

    now = 100.5
    allowance.spent(began=100.0)

    now = 150.4
    assert not allowance.due()
    now = 150.6
    assert allowance.due()


def test_the_table_is_read_again_once_the_allowance_permits() -> None:
    table = ProcessTable(share=1e-9)
    first = table.read()

    assert os.getpid() in first
    assert table.read() is first
    assert ProcessTable(share=1.0).read() is not first


def test_a_new_step_is_seen_though_the_table_is_older(begin: Callable[[str], Step]) -> None:
    older = snapshot()
    step = begin("print('here'); time.sleep(60)")
    step.hear()

    usage = step.tree.usage(older)
    assert usage is not None
    assert usage.processes == 1


def test_cpu_seconds_never_fall_while_children_come_and_go(begin: Callable[[str], Step]) -> None:
    step = begin("""
import signal
for turn in range(40):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN if turn % 2 else signal.SIG_DFL)
    if os.fork() == 0: burn(0.01 * (turn % 3)); os._exit(0)
    try: os.wait()
    except ChildProcessError: pass
print("done"); time.sleep(60)
""")
    seen = []
    deadline = time.monotonic() + 0.8
    while time.monotonic() < deadline:
        seen.append(step.usage().cpu_seconds)

    assert seen == sorted(seen)
