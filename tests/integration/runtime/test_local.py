"""Steps of an allocation on this machine, with real processes."""

from __future__ import annotations

import os
import signal
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.runtime import driver, ledger, processes
from integration.runtime.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.local import LocalLauncher
    from escalade.runtime.steps import StepSpec

    Bash = Callable[..., StepSpec]


def ended(local: LocalLauncher, allocation: AllocationState, name: str = "step") -> bool:
    return wait_until(lambda: not local.state(allocation, name).running, 5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("exit 0", "exited with code 0"),
        ("exit 3", "exited with code 3"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        ("kill -9 $$", "was killed by SIGKILL"),
    ],
)
def test_how_a_step_ended_is_known(
    local: LocalLauncher, allocation: AllocationState, bash: Bash, line: str, words: str
) -> None:
    local.start(allocation, bash(line))

    assert ended(local, allocation)
    state = local.state(allocation, "step")
    assert state.describe() == words
    assert state.started_at is not None
    assert state.ended_at is not None
    assert state.started_at <= state.ended_at


def test_a_running_step_runs_in_a_session_of_its_own(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    state = local.start(allocation, bash("sleep 60"))

    assert state.running
    assert state.pid is not None
    assert os.getsid(state.pid) == state.pid
    assert local.state(allocation, "step") == state


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("no-such-command",), "No such file or directory: no-such-command"),
        (("/etc/passwd",), "Permission denied: /etc/passwd"),
        (("/",), "Permission denied: /"),
    ],
)
def test_a_command_that_cant_be_executed_says_why(
    local: LocalLauncher,
    allocation: AllocationState,
    bash: Bash,
    command: tuple[str, ...],
    why: str,
) -> None:
    with pytest.raises(InfrastructureError, match=f"could not be executed: {why}"):
        local.start(allocation, replace(bash(""), argv=command))

    state = local.state(allocation, "step")
    assert not state.running
    assert state.pid is None


def test_a_missing_working_folder_and_a_cpu_that_is_not_there_say_so(
    local: LocalLauncher, allocation: AllocationState, bash: Bash, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureError, match=r"No such file or directory: .*/nowhere"):
        local.start(allocation, bash("true", name="a", cwd=tmp_path / "nowhere"))
    with pytest.raises(InfrastructureError, match="offers no CPU 4000"):
        local.start(allocation, bash("true", name="b", cpus=(0, 4000)))


def test_output_goes_to_a_private_log_and_input_is_empty(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    spec = bash("echo out; echo err >&2; cat; pwd; echo $A", cwd="/", environment={"A": "b"})
    local.start(allocation, spec)

    assert ended(local, allocation)
    assert spec.log.read_text() == "out\nerr\n/\nb\n"
    assert stat.S_IMODE(spec.log.stat().st_mode) == 0o600


def test_what_a_step_was_started_with_is_for_its_owner_alone(
    local: LocalLauncher, allocation: AllocationState, run: driver.RunFolder, bash: Bash
) -> None:
    local.start(allocation, bash("sleep 60", environment={"API_KEY": "secret"}))

    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(allocation.steps.stat().st_mode) == 0o700


def test_a_step_is_pinned_to_its_cpus(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    cpu = max(os.sched_getaffinity(0))
    state = local.start(allocation, bash("sleep 60", cpus=(cpu,)))

    assert state.pid is not None
    assert os.sched_getaffinity(state.pid) == {cpu}


def test_a_step_meets_no_blocked_signal(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    spec = bash("grep SigBlk /proc/self/status")
    local.start(allocation, spec)

    assert ended(local, allocation)
    assert spec.log.read_text().split() == ["SigBlk:", "0" * 16]


def test_stopping_a_step_ends_grandchildren_that_left_its_session(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    before = set(processes.snapshot())
    line = "setsid sleep 61 & (setsid env -i /bin/sleep 62 &) & sleep 0.2; sleep 63"
    local.start(allocation, bash(line))
    time.sleep(0.4)

    state = local.stop(allocation, "step")

    assert state.describe() == "was killed by SIGTERM"
    left = {
        found.pid
        for pid, found in processes.snapshot().items()
        if pid not in before and found.session == state.pid
    }
    assert left == set()
    assert wait_until(lambda: not sleepers("61", "63"), 1)


def sleepers(*seconds: str) -> list[str]:
    found = []
    for pid in processes.snapshot():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        if command[0].endswith("sleep") and command[1] in seconds:
            found.append(command[1])
    return found


def test_releasing_ends_even_an_orphan_without_any_mark(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    local.start(allocation, bash("(setsid env -i /bin/sleep 64.25 &); sleep 0.2; exit 0"))
    assert ended(local, allocation)

    local.release(allocation)

    assert not sleepers("64.25")


def test_what_a_step_leaves_behind_ends_with_it(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    local.start(allocation, bash("setsid sleep 65.25 & exit 4"))

    assert ended(local, allocation)
    assert local.state(allocation, "step").describe() == "exited with code 4"
    assert wait_until(lambda: not sleepers("65.25"), 2)


def test_a_step_s_scratch_folder_is_gone_once_it_is_over(
    local: LocalLauncher, allocation: AllocationState, bash: Bash, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "data").mkdir(parents=True)
    local.start(allocation, bash("sleep 60", scratch=str(scratch)))
    assert scratch.exists()

    local.stop(allocation, "step")

    assert wait_until(lambda: not scratch.exists(), 2)


def test_a_step_that_is_stopped_writes_what_it_has(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    spec = bash("trap 'echo done; exit 0' TERM; echo ready; while true; do sleep 0.05; done")
    local.start(allocation, spec)
    wait_until(lambda: spec.log.read_text() == "ready\n", 5)

    local.stop(allocation, "step")

    assert spec.log.read_text().endswith("done\n")
    assert local.state(allocation, "step").describe() == "exited with code 0"


def test_a_step_that_ignores_sigterm_is_killed_when_its_time_is_over(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    line = "trap '' TERM; echo ready; while true; do sleep 0.05; done"
    spec = bash(line, stop_seconds=0.3)
    local.start(allocation, spec)
    wait_until(lambda: spec.log.read_text() == "ready\n", 5)

    assert local.stop(allocation, "step").describe() == "was killed by SIGKILL"


def test_stopping_twice_or_after_the_end_changes_nothing(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    local.start(allocation, bash("exit 7"))
    assert ended(local, allocation)

    first = local.stop(allocation, "step")

    assert first.describe() == "exited with code 7"
    assert local.stop(allocation, "step") == first


def test_a_name_can_be_used_again_once_its_step_has_ended(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    first = local.start(allocation, bash("sleep 60"))
    with pytest.raises(InfrastructureError, match="'step' of cell runs; stop it before"):
        local.start(allocation, bash("sleep 60"))
    local.stop(allocation, "step")

    second = local.start(allocation, bash("sleep 60"))

    assert second.running
    assert second.pid != first.pid


def test_an_unknown_step_is_answered_with_the_known_ones(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    local.start(allocation, bash("true", name="known"))
    with pytest.raises(InputError, match="has no step 'unknown'; it has: known"):
        local.state(allocation, "unknown")


def test_a_released_allocation_is_dead_and_refuses_steps(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    local.start(allocation, bash("sleep 60"))
    local.release(allocation)
    local.release(allocation)

    assert not local.alive(allocation)
    assert local.state(allocation, "step").describe() == "was killed by SIGTERM"
    with pytest.raises(InfrastructureError, match="the holder of cell is gone"):
        local.start(allocation, bash("true", name="late"))


def test_a_killed_holder_takes_its_steps_along_and_they_are_known_to_have_ended(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    state = local.start(allocation, bash("trap '' TERM; sleep 60"))
    os.kill(allocation.pid, signal.SIGKILL)

    assert state.pid is not None
    assert wait_until(lambda: state.pid not in processes.snapshot(), 5)
    assert wait_until(lambda: not local.state(allocation, "step").running, 5)
    assert not local.alive(allocation)


def test_an_allocation_folder_in_use_is_refused(
    local: LocalLauncher, allocation: AllocationState, run: driver.RunFolder
) -> None:
    with pytest.raises(InfrastructureError, match=r"is held by process .* already"):
        local.allocate("cell", run.path / "cell", run)


def test_an_allocation_that_cant_write_its_folder_says_so(
    local: LocalLauncher, run: driver.RunFolder
) -> None:
    (run.path / "file").touch()
    with pytest.raises(InfrastructureError, match="file/cell"):
        local.allocate("cell", run.path / "file" / "cell", run)


def test_every_process_is_in_the_ledger_before_its_start_is_told(
    local: LocalLauncher, allocation: AllocationState, run: driver.RunFolder, bash: Bash
) -> None:
    state = local.start(allocation, bash("sleep 60"))

    entered = {entry.pid: entry.role for entry in ledger.read(run.ledger)}
    assert entered[allocation.pid] == "holder"
    assert entered[state.pid] == "service"
    assert set(entered.values()) == {"keeper", "holder", "service"}


def test_a_step_that_cant_be_entered_is_ended_and_the_others_go_on(
    local: LocalLauncher, allocation: AllocationState, run: driver.RunFolder, bash: Bash
) -> None:
    first = local.start(allocation, bash("sleep 60", name="first"))
    run.ledger.rename(run.path / "aside")
    run.ledger.mkdir()
    try:
        with pytest.raises(InfrastructureError, match=r"had to be ended: The ledger .* can't be"):
            local.start(allocation, bash("sleep 66.25", name="second"))

        assert wait_until(lambda: not sleepers("66.25"), 5)
        assert local.state(allocation, "first") == first
    finally:
        run.ledger.rmdir()
        (run.path / "aside").rename(run.ledger)


def test_a_start_takes_a_small_part_of_a_second(
    local: LocalLauncher, allocation: AllocationState, bash: Bash
) -> None:
    took = []
    for number in range(5):
        begun = time.monotonic()
        local.start(allocation, bash("sleep 60", name=f"s{number}"))
        took.append(time.monotonic() - begun)

    assert min(took) < 0.2
