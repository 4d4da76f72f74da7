"""Processes that end with their parent or with a lease."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from escalade.runtime import lease, processes
from integration.runtime.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path

CHILD = (
    "import sys, time\n"
    "from escalade.runtime.lifeline import die_with_parent\n"
    "die_with_parent(*map(int, sys.argv[1:]))\n"
    "print('lives', flush=True)\n"
    "time.sleep(60)\n"
)


def test_a_child_dies_when_its_parent_is_killed() -> None:
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {CHILD!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = processes.identify(int(process.stdout.readline()))
        assert child is not None
        process.kill()

        assert wait_until(lambda: not child.alive(), 5)


def test_a_child_that_was_orphaned_before_it_asked_ends_itself() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()

    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(gone.pid)], stdout=subprocess.PIPE, check=False
    )

    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


def test_a_stale_lease_ends_a_process_and_its_children(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    lease.create(path)
    script = (
        "import subprocess, sys, time\n"
        "from pathlib import Path\n"
        "from escalade.runtime.lifeline import watch_lease\n"
        "watch_lease(Path(sys.argv[1]), 1.0)\n"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        child = processes.identify(int(process.stdout.readline()))
        assert child is not None
        for count in range(1, 16):
            lease.advance(path, count)
            time.sleep(0.1)
            assert process.poll() is None

        assert process.wait(timeout=5) == 3
        assert wait_until(lambda: not child.alive(), 2)


def test_the_processes_of_a_run_start_light() -> None:
    """Heavy imports would delay every cell; the figure itself is for benchmarks."""
    script = (
        "import sys\n"
        "import escalade.runtime.holder, escalade.runtime.keeper\n"
        "heavy = {'pandas', 'numpy', 'pydantic', 'rich', 'typer', 'yaml', 'psutil', 'ssl'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
