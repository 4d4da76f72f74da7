"""A program is started, read, and ended whatever it does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.runtime.processes import identify
from escalade.suites.components import Component
from escalade.suites.runner import NotAvailableError, run_repetition

if TYPE_CHECKING:
    from pathlib import Path


def component(script: str, **more: Any) -> Component:
    usual = {"iterations": 3, "least_seconds": 0, "warmup_seconds": 0, "timeout_seconds": 5}
    return Component(name="mine", command=("sh", "-c", script), **{**usual, **more})


def numbers(made: Any, *, warmup: bool = False) -> list[float]:
    return [row.numbers[""] for row in made.iterations if row.warmup == warmup]


def ended(pid: int) -> bool:
    """Wait until a process that was killed is gone: nobody here reaps it."""
    until = time.monotonic() + 10
    while identify(pid) is not None and time.monotonic() < until:
        time.sleep(0.01)
    return identify(pid) is None


def test_a_program_that_prints_one_number_is_started_for_each(tmp_path: Path) -> None:
    made = run_repetition(component("echo 5"), tmp_path / "log")

    assert (numbers(made), made.starts, made.measured) == ([5, 5, 5], 3, 3)


def test_a_program_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    made = run_repetition(component("echo $$; while :; do echo 1; done"), tmp_path / "log")

    assert made.starts == 1
    assert made.measured >= 3
    assert identify(int(numbers(made)[0])) is None


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    made = run_repetition(
        component(f"sleep 60 >&- & echo $! > {left}; echo 1; echo 2; echo 3"), tmp_path / "log"
    )

    assert numbers(made) == [1, 2, 3]
    assert ended(int(left.read_text()))


def test_warm_up_by_iterations_is_kept_but_not_counted(tmp_path: Path) -> None:
    made = run_repetition(component("seq 100", warmup_iterations=40), tmp_path / "log")

    assert numbers(made, warmup=True) == list(range(1, 41))
    assert numbers(made)[:3] == [41, 42, 43]


def test_an_iteration_that_began_in_the_warm_up_is_not_counted(tmp_path: Path) -> None:
    # each takes 0.2 s: the first begins at 0 and ends after the warm-up of 0.1 s
    made = run_repetition(
        component("sleep 0.2; echo 7", warmup_seconds=0.1, iterations=1), tmp_path / "log"
    )

    assert (numbers(made, warmup=True), numbers(made)) == ([7], [7])


def test_the_least_time_asks_for_more_iterations(tmp_path: Path) -> None:
    made = run_repetition(
        component("while :; do echo 1; sleep 0.01; done", least_seconds=0.3), tmp_path / "log"
    )

    assert made.seconds >= 0.3
    assert made.measured > 3


def test_the_standards_are_handed_to_a_program_that_asks_for_them(tmp_path: Path) -> None:
    told = component("echo {iterations}; echo {warmup_seconds}; echo {least_seconds}")
    made = run_repetition(told.model_copy(update={"warmup_seconds": 30.0}), tmp_path / "log")

    assert numbers(made) == [3, 30, 0]  # and nothing of it is taken for warm-up


def test_a_budget_keeps_what_was_measured(tmp_path: Path) -> None:
    slow = component("while :; do echo 1; sleep 0.05; done", iterations=1000, budget_seconds=0.4)
    made = run_repetition(slow, tmp_path / "log")

    assert made.out_of_budget
    assert 1 <= made.measured < 20


def test_a_last_line_without_its_end_counts(tmp_path: Path) -> None:
    assert numbers(run_repetition(component("printf 4", iterations=1), tmp_path / "log")) == [4]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/no/such/program",), "'/no/such/program' can't be started"),
        (("sh", "-c", "echo nan"), "is not finite"),
        (("sh", "-c", "echo hello"), "printed no number.*'hello'"),
        (("true",), "printed no number"),
        (("sh", "-c", "echo '{'"), "JSON that does not end"),
        (("sh", "-c", """echo '{"a": 1}'; echo '{"b": 1}'"""), "differ in what they hold: a, b"),
    ],
)
def test_output_that_cannot_be_used_is_named(
    command: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    wrong = component("true").model_copy(update={"command": command})

    with pytest.raises(InputError, match=said):
        run_repetition(wrong, tmp_path / "log")


def test_a_failure_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="ended with exit code 7: no disk"):
        run_repetition(component("echo 1; echo no disk >&2; exit 7"), tmp_path / "log")


def test_a_crash_is_told(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="was ended by signal 9"):
        run_repetition(component("kill -9 $$"), tmp_path / "log")


@pytest.mark.parametrize("script", ["echo $$ > PID; sleep 60", "echo $$ > PID; exec >&-; sleep 60"])
def test_a_program_that_hangs_is_ended(script: str, tmp_path: Path) -> None:
    written = tmp_path / "pid"
    began = time.monotonic()

    with pytest.raises(InfrastructureError, match=r"printed nothing for 0\.3 s|did not end within"):
        run_repetition(
            component(script.replace("PID", str(written)), timeout_seconds=0.3), tmp_path / "log"
        )
    assert time.monotonic() - began < 20
    assert identify(int(written.read_text())) is None


def test_exit_code_69_says_that_it_is_not_available(tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match="no GPU"):
        run_repetition(component("echo no GPU >&2; exit 69"), tmp_path / "log")


def test_a_warm_up_longer_than_the_budget_is_told(tmp_path: Path) -> None:
    short = component("echo 1; sleep 60", warmup_iterations=5, budget_seconds=0.3)

    with pytest.raises(InfrastructureError, match="no iteration after its warm-up"):
        run_repetition(short, tmp_path / "log")


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InfrastructureError, match="can't be written"):
        run_repetition(component("echo 1"), tmp_path / "file" / "log")


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[int] = []
    run_repetition(component("seq 5"), tmp_path / "log", lambda done, _: seen.append(done))

    assert seen[-1] == 3
