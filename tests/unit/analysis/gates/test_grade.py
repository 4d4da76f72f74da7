"""The data-quality grade follows from the gates by the documented rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.gates.grade import GRADES, quality

Outcome = str


def gate(
    name: str = "late_ratio",
    outcome: Outcome = "pass",
    *,
    cell: str = "c",
    step: int = 1,
    invalidates: bool = True,
) -> dict[str, Any]:
    return {
        "cell": cell,
        "step": step,
        "gate": name,
        "outcome": outcome,
        "invalidates": invalidates,
    }


@pytest.mark.parametrize(
    ("outcome", "invalidates", "grade"),
    [
        ("pass", True, "A"),
        ("pass", False, "A"),
        ("not applicable", False, "A"),
        ("unknown", False, "B"),
        ("fail", False, "C"),
        ("unknown", True, "C"),
        ("fail", True, "D"),
    ],
)
def test_one_gate_decides_the_grade_of_its_step(
    outcome: str,
    invalidates: bool,  # noqa: FBT001 - a parameter of the test
    grade: str,
) -> None:
    found = quality([gate(), gate("steal", outcome, invalidates=invalidates)])

    assert found["grade"] == grade
    assert found["steps"] == {name: int(name == grade) for name in GRADES}
    why = [{"gate": "steal", "grade": grade, "steps": [1]}] if grade != "A" else []
    assert found["cells"][0]["why"] == why


@pytest.mark.parametrize(
    ("grades", "grade"),
    [
        ("A", "A"),
        ("AAAAAAAAAB", "A"),  # nine in ten are an A
        ("AAAAAAAAAC", "A"),
        ("AAAAAAAAAD", "B"),  # no A where a step can't be used
        ("AAAAAAAABB", "B"),
        ("AAAAAAAACC", "C"),  # eight in ten reach a B
        ("AAAAAD", "C"),
        ("AAAD", "C"),
        ("AD", "D"),  # half of the steps
        ("ADD", "D"),
    ],
)
def test_a_cell_has_the_grade_that_nine_in_ten_of_its_steps_reach(grades: str, grade: str) -> None:
    of = {"A": ("pass", True), "B": ("unknown", False), "C": ("fail", False), "D": ("fail", True)}
    rows = [
        gate("steal", of[each][0], step=step, invalidates=of[each][1])
        for step, each in enumerate(grades, start=1)
    ]

    found = quality(rows)

    assert found["grade"] == found["cells"][0]["grade"] == grade
    assert sum(found["steps"].values()) == len(grades)


def test_an_overloaded_service_that_was_measured_well_has_an_a() -> None:
    overloaded = [
        gate("over_saturation", "fail", invalidates=False),
        gate("backlog_slope", "fail", invalidates=False),
        *(gate(name, "fail", invalidates=False) for name in ("steadiness", "warm_up", "drained")),
    ]

    assert quality(overloaded)["grade"] == "A"
    assert quality(overloaded[2:])["grade"] == "C"


def test_a_rate_that_changes_has_no_steady_state_but_a_closed_loop_has() -> None:
    unsteady = gate("steadiness", "fail", invalidates=False)
    no_capacity = gate("constant_rate", "fail", invalidates=False)
    bursts = gate("over_saturation", "pass", invalidates=False)
    closed = gate("over_saturation", "not applicable", invalidates=False)

    assert quality([no_capacity, bursts, unsteady])["grade"] == "A"
    assert quality([no_capacity, closed, unsteady])["grade"] == "C"


def test_trials_that_were_given_up_are_not_graded_and_nothing_has_no_grade() -> None:
    rows = [gate(), gate("sample_floor", "fail", step=2, invalidates=False)]

    assert quality(rows)["grade"] == "C"
    assert quality(rows, {("c", 2)})["grade"] == "A"
    assert quality([])["grade"] is None
    assert quality([])["words"] == "no step was measured"


def test_the_worst_gate_is_named_first_with_all_its_steps() -> None:
    rows = [
        gate("steal", "fail", step=1, invalidates=False),
        gate("late_ratio", "fail", step=2),
        gate("late_ratio", "fail", step=3),
    ]

    assert quality(rows)["cells"][0]["why"] == [
        {"gate": "late_ratio", "grade": "D", "steps": [2, 3]},
        {"gate": "steal", "grade": "C", "steps": [1]},
    ]


rows_of_gates = st.lists(
    st.builds(
        gate,
        st.sampled_from(["late_ratio", "steal", "steadiness", "over_saturation", "constant_rate"]),
        st.sampled_from(["pass", "fail", "unknown", "not applicable"]),
        cell=st.sampled_from(["a", "b"]),
        step=st.integers(1, 12),
        invalidates=st.booleans(),
    ),
    max_size=40,
)


@given(rows_of_gates, st.integers(1, 12))
def test_a_further_failure_never_makes_a_grade_better(
    rows: list[dict[str, Any]], step: int
) -> None:
    worse = [*rows, gate("client_cpu", "fail", cell="a", step=step)]
    same_steps = [*rows, gate("client_cpu", "pass", cell="a", step=step)]

    assert quality(worse)["grade"] >= quality(same_steps)["grade"]


@given(rows_of_gates)
def test_the_order_of_the_gates_does_not_matter(rows: list[dict[str, Any]]) -> None:
    unique = list({(row["cell"], row["step"], row["gate"]): row for row in rows}.values())

    found, turned = quality(unique), quality(unique[::-1])

    assert (found["grade"], found["steps"]) == (turned["grade"], turned["steps"])
    assert {c["cell"]: c["grade"] for c in found["cells"]} == {
        c["cell"]: c["grade"] for c in turned["cells"]
    }
