"""The order of a paired campaign, what it refuses, and what its plan says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.design import order_words, ordered, whole_pairs
from escalade.campaign.question import question_of
from escalade.campaign.run import open_run
from escalade.campaign.smoke import reduced
from escalade.errors import InputError
from unit.campaign.builders import cells

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.campaign.models import Campaign

TWO = [{"name": name, "recipe": "truth_server"} for name in ("a", "b")]
ONE_STEP = [{"target_qps": 2, "window_seconds": 10}]
TWO_STEPS = [*ONE_STEP, {"target_qps": 4, "window_seconds": 10}]


def campaign(repetitions: int = 8, ladder: Any = ONE_STEP, **changes: Any) -> Campaign:
    content = {
        "campaign": "pairs",
        "deployments": TWO,
        "repetitions": repetitions,
        "design": "paired",
        "load": {"ladder": ladder},
        **changes,
    }
    return parse_campaign(content, "my.yaml")


def letters(repetitions: int) -> str:
    return "".join(deployment.name for _, deployment in ordered(campaign(repetitions)))


def test_the_order_turns_round_and_back() -> None:
    assert letters(2) == "abba"
    assert letters(8) == "abbabaababbabaab"
    repetitions = [repetition for repetition, _ in ordered(campaign(4))]
    assert repetitions == [1, 1, 2, 2, 3, 3, 4, 4]


@given(st.integers(1, 100).map(lambda half: 2 * half))
@settings(max_examples=20, deadline=None)
def test_an_even_drift_falls_on_both_alike(repetitions: int) -> None:
    order = letters(repetitions)

    assert Counter(order) == {"a": repetitions, "b": repetitions}
    places = {side: [at for at, name in enumerate(order) if name == side] for side in "ab"}
    assert sum(places["a"]) == sum(places["b"])  # a drift in proportion to the place cancels
    if repetitions % 4 == 0:  # and so does one in proportion to its square
        assert sum(at * at for at in places["a"]) == sum(at * at for at in places["b"])


def test_the_plan_has_that_order_and_gives_a_pair_the_same_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    planned = open_run(campaign(4).model_dump(mode="json"), []).plan.cells

    assert "".join(cell.deployment.name for cell in planned) == "abbabaab"
    for first, second in zip(planned[::2], planned[1::2], strict=True):
        assert (first.repetition, first.seed) == (second.repetition, second.seed)


def test_the_design_is_no_part_of_what_defines_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paired = campaign(4).model_dump(mode="json")
    rounds = {key: value for key, value in paired.items() if key != "design"}

    names = {cell.name for cell in open_run(rounds, []).plan.cells}
    assert {cell.name for cell in open_run(paired, []).plan.cells} == names


def test_what_is_not_said_is_not_written_out() -> None:
    rounds = campaign(design="rounds").model_dump(mode="json")

    assert not {"design", "pairs"} & set(rounds)
    assert all("monitoring" not in deployment for deployment in rounds["deployments"])
    assert campaign().model_dump(mode="json")["design"] == "paired"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deployments": TWO[:1]}, "compares two deployments with each other, and there are 1"),
        ({"deployments": [*TWO, {"name": "c", "recipe": "s3"}]}, "there are 3; leave two"),
        ({"repetitions": 1}, "repetitions is 1: write 6 or more, or 2 to explore"),
        ({"repetitions": 7}, "repetitions is 7: write 8"),
        ({"execution": {"parallel_cells": 2}}, "on one machine disturb each other; write 1"),
        (
            {"execution": {"launcher": "slurm", "parallel_cells": 2}},
            "would be on different nodes; write 1",
        ),
        (
            {"execution": {"launcher": "slurm", "slurm": {"cells_per_allocation": 3}}},
            "parts the cells of a pair, maybe to different nodes; write auto or an even number",
        ),
        ({"ladder": TWO_STEPS}, "which of the 2 steps decides"),
        ({"ladder": TWO_STEPS, "pairs": {"step": 3}}, "pairs.step is 3, and the ladder has 2"),
        ({"design": "rounds", "pairs": {}}, "design is not paired; write design: paired"),
        (
            {"pairs": {"primary": [{"metric": "throughput_qps", "stat": "p90"}]}},
            "throughput_qps has no statistic 'p90'",
        ),
        ({"pairs": {"primary": [{"metric": "latency_seconds"}] * 4}}, "pairs.primary"),
        ({"pairs": {"primary": [{"metric": "latency_seconds"}] * 2}}, "latency_seconds p90 twice"),
    ],
)
def test_what_can_t_be_paired_is_refused_in_one_message(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=r"my\.yaml") as told:
        campaign(**changes)

    assert words in str(told.value)


def test_a_search_can_t_be_paired() -> None:
    load = {"search": {"start_qps": 2, "budget": {"seconds": 2000}}}
    slos = [{"name": "fast", "metric": "latency_seconds", "limit": 1}]

    with pytest.raises(InputError, match="rates of its own; give a ladder"):
        campaign(load=load, slos=slos)


def test_the_plan_says_the_order_the_reason_and_what_the_pairs_can_decide() -> None:
    few, enough = order_words(campaign(4)), order_words(campaign(8))

    assert "A is a and B is b: ABBA BAAB." in few
    assert "drift of the machine falls on both alike" in few
    assert "4 pairs are too few to decide anything: 1 primary KPI take" in few
    assert "8 pairs are enough to decide 1 primary KPI at 5 %" in enough


def test_the_baseline_is_the_first_or_the_one_without_monitoring() -> None:
    plain = question_of(campaign())
    assert plain is not None
    assert (plain.baseline, plain.candidate, plain.step) == ("a", "b", 1)
    assert (plain.primary, plain.margin, plain.counts) == (
        (("latency_seconds", "p90"),),
        0.05,
        False,
    )

    off = question_of(campaign(deployments=[TWO[0], {**TWO[1], "monitoring": False}]))
    assert off is not None
    assert (off.baseline, off.candidate) == ("b", "a")
    assert question_of(campaign(design="rounds")) is None


@pytest.mark.parametrize(
    ("count", "whole"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 6)]
)
def test_a_turn_begins_no_pair_that_it_can_t_end(count: int, whole: int) -> None:
    six = [cell for cell in cells(3) for _ in range(2)]  # repetitions 1 1 2 2 3 3

    assert whole_pairs(six, count) == whole


def test_a_smoke_run_is_not_paired_and_proves_the_monitoring_too() -> None:
    off = [{**TWO[0], "monitoring": False}, TWO[1]]
    small = reduced(campaign(deployments=off, pairs={"margin_percent": 3}))

    again = parse_campaign(small.model_dump(mode="json"), "smoke.yaml")
    assert (again.design, again.pairs, again.repetitions) == ("rounds", None, 1)
    assert [deployment.name for deployment in again.deployments] == ["b"]


def test_a_plan_needs_no_numerical_library() -> None:
    code = (
        "import sys, escalade.campaign.design\n"
        "sys.exit(', '.join({'numpy', 'scipy', 'pandas'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
