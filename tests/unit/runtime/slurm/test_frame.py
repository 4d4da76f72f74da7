"""The frame of a step: it runs what was planned on what was planned, or says why not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from escalade.runtime.slurm.frame import REFUSED, Order
from escalade.runtime.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MARK = "t"
CPUS = tuple(sorted(os.sched_getaffinity(0)))


@pytest.fixture
def framed(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a frame, with the order changed."""

    def start(*argv: str, gpus_shown: str = "", **changes: Any) -> subprocess.Popen[str]:
        fields = {"notes": str(tmp_path), "name": "a", "role": "service", "token": MARK, "log": "l"}
        order = Order(**{**fields, "cpus": None, "gpus": None, **changes})
        command = [sys.executable, "-m", "escalade.runtime.slurm.frame", order.to_text(), "--"]
        return subprocess.Popen(
            [*command, *argv],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": gpus_shown, "SLURMD_NODENAME": "node7"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def note(folder: Path, kind: str) -> dict[str, Any]:
    found = Spool(folder).read("a", kind)
    assert found is not None
    assert found.token == MARK
    return found.content


def await_note(folder: Path, kind: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while Spool(folder).read("a", kind) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return note(folder, kind)


def test_it_says_which_process_the_step_is_and_what_it_got(
    framed: Callable[..., Any], tmp_path: Path
) -> None:
    show = "import os; print(os.getpid(), sorted(os.sched_getaffinity(0)))"
    output, _ = framed(sys.executable, "-c", show, cpus=CPUS[:1]).communicate(timeout=30)

    started = note(tmp_path, "started")
    assert output.split(maxsplit=1) == [str(started["pid"]), f"[{CPUS[0]}]\n"]
    assert started["affinity"] == [CPUS[0]]
    assert started["node"] == "node7"
    assert note(tmp_path, "ended")["exit_code"] == 0


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("raise SystemExit(7)", 7, {"exit_code": 7, "signal": None}),
        ("import os; os.kill(os.getpid(), 9)", 137, {"exit_code": None, "signal": 9}),
    ],
)
def test_its_end_is_told_by_code_and_by_note(
    program: str, code: int, said: dict[str, Any], framed: Callable[..., Any], tmp_path: Path
) -> None:
    child = framed(sys.executable, "-c", program)
    child.communicate(timeout=30)

    assert child.returncode == code
    ended = note(tmp_path, "ended")
    assert {key: ended[key] for key in said} == said


def test_a_cpu_that_the_step_may_not_use_ends_it_with_the_cause(
    framed: Callable[..., Any], tmp_path: Path
) -> None:
    child = framed("true", cpus=(*CPUS, 4000))
    _, said = child.communicate(timeout=30)

    assert child.returncode == 3
    assert "may not run on CPU 4000" in said
    assert "4000" in note(tmp_path, REFUSED)["error"]


@pytest.mark.parametrize("shown", ["", "0", "0,1,2", "NoDevFiles"])
def test_gpus_other_than_planned_end_it_with_the_cause(
    shown: str, framed: Callable[..., Any], tmp_path: Path
) -> None:
    child = framed("true", gpus_shown=shown, gpus=("0", "1"))
    _, said = child.communicate(timeout=30)

    assert child.returncode == 3
    assert "planned: 0,1" in said
    assert Spool(tmp_path).read("a", "started") is None


def test_planned_gpus_are_seen_and_recorded(framed: Callable[..., Any], tmp_path: Path) -> None:
    assert framed("true", gpus_shown="2,3", gpus=("2", "3")).wait(30) == 0
    assert note(tmp_path, "started")["gpus"] == ["2", "3"]


def test_a_program_that_is_not_there_is_named(framed: Callable[..., Any], tmp_path: Path) -> None:
    child = framed("/no/such/program")
    child.communicate(timeout=30)

    assert child.returncode == 127
    assert "/no/such/program" in note(tmp_path, REFUSED)["error"]


def test_what_the_program_leaves_behind_ends_with_it(
    framed: Callable[..., Any], tmp_path: Path
) -> None:
    leave = "sleep 100 & setsid sleep 100 & echo $! > pids"
    child = framed("sh", "-c", f"cd {tmp_path}; {leave}")
    child.communicate(timeout=30)

    left = int((tmp_path / "pids").read_text())
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE


def test_a_signal_to_the_whole_step_is_the_programs_to_answer(
    framed: Callable[..., Any], tmp_path: Path
) -> None:
    child = framed("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    pid = await_note(tmp_path, "started")["pid"]
    time.sleep(0.3)  # until the shell has set its trap
    child.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert child.poll() is None  # the frame itself stays

    os.kill(pid, signal.SIGTERM)

    assert child.wait(10) == 5


def test_an_order_survives_a_command_line() -> None:
    order = Order("/n", "a", "service", "t", "/l", (1, 2), ("0",))

    assert Order.from_text(order.to_text()) == order


@pytest.mark.parametrize("program", ["true", "false", "/nowhere/at/all"])
def test_its_scratch_folder_is_gone_at_the_end_however_that_comes(
    framed: Callable[..., subprocess.Popen[str]], tmp_path: Path, program: str
) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "data").mkdir(parents=True)

    framed(program, scratch=str(scratch)).communicate(timeout=20)

    assert not scratch.exists()
