"""Campaigns in the order of their measurement, and where their figures change."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from campaigns import repeated as made
from escalade.analysis.compare.history import histories
from escalade.analysis.compare.primary import Primary
from escalade.analysis.compare.repeated import WHOLE, Figure
from escalade.analysis.compare.trends import (
    Member,
    Past,
    Point,
    Series,
    find_changes,
    measured_at,
    told_series,
)
from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.verdicts.judge import Slo

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

CAPACITY = Figure(WHOLE, "capacity_qps", "value")
DAY = 86_400.0


@pytest.fixture(scope="module")
def cell() -> CellData:
    return made([8.0])[0]


def member(cell: CellData, day: int, commit: str = "a") -> Member:
    begun = replace(cell, cell={**cell.cell, "started_at": DAY * day})
    past = Past("nightly", f"results/{day}", {"source": {"commit": commit}}, (), [begun])
    return Member(past, "demo", [begun], DAY * day)


def series(cell: CellData, values: list[float], turn: int = 99, **more: Any) -> Series:
    points = [
        Point(member(cell, day, "a" if day < turn else "b"), Estimate(value), **more)
        for day, value in enumerate(values)
    ]
    return Series(CAPACITY, None, points)


STEP = [5.0, 5.1, 4.9, 5.05, 4.95, 4.0, 4.1, 3.9, 4.05, 3.95]


def test_a_change_says_how_much_and_what_else_changed(cell: CellData) -> None:
    found = series(cell, STEP, turn=5)
    find_changes([found], 0.05)

    (split,) = found.splits
    assert (split["path"], split["index"], split["word"]) == ("results/5", 5, "worse")
    assert (split["before"], split["after"]) == (5.0, 4.0)
    # all 25 ratios lie between 3.9 / 5.1 and 4.1 / 4.9; their median is near 4 / 5
    assert split["relative"] == pytest.approx(-0.2, abs=0.005)
    assert 3.9 / 5.1 <= split["ci_low"] <= split["effect"] <= split["ci_high"] <= 4.1 / 4.9
    assert split["changes"] == [{"what": "source.commit", "baseline": "a", "candidate": "b"}]


def test_a_change_below_the_margin_is_small(cell: CellData) -> None:
    found = series(cell, [value if day < 5 else 0.98 * 5 + (value - 4) / 50 for day, value in
                          enumerate([5.0, 5.01, 4.99, 5.005, 4.995, *STEP[5:]])])  # fmt: skip
    find_changes([found], 0.05)

    assert [split["word"] for split in found.splits] == ["small"]


def test_several_series_are_one_family(cell: CellData) -> None:
    # ten values, parted: p = 2 / 252 = 0.8 %, below 4.5 % / 4 and above 4.5 % / 9
    still = [5.0, 4.9, 5.1, 4.95, 5.05, 4.92, 5.08, 5.02, 4.97, 5.01]
    alone, four, nine = (
        [series(cell, STEP), *[series(cell, still) for _ in range(others)]] for others in (0, 3, 8)
    )
    for family in (alone, four, nine):
        find_changes(family, 0.05)

    assert [len(family[0].splits) for family in (alone, four, nine)] == [1, 1, 0]
    assert "from 10 campaigns" in nine[0].note


def test_too_few_campaigns_say_how_many_are_needed(cell: CellData) -> None:
    found = series(cell, STEP[3:8])
    find_changes([found], 0.05)

    assert found.splits == []
    assert (
        found.note
        == "with a value from 5 campaigns nothing is tested well: a change in their middle is sure to show from 8 on"
    )


def test_what_has_no_value_is_left_out_of_the_test_and_keeps_its_place(cell: CellData) -> None:
    found = series(cell, [*STEP[:3], math.nan, *STEP[3:]])
    find_changes([found], 0.05)

    assert [split["index"] for split in found.splits] == [6]
    assert told_series(found)["points"][3]["value"] is None


def test_beyond_the_end_of_a_ladder_nothing_is_known(cell: CellData) -> None:
    # the first five ladders end at 4: that their service does more does not show
    found = series(cell, [4.0] * 5 + [6.0, 6.1, 5.9, 6.05, 5.95])
    found.points[:5] = [replace(point, beyond="above", limit=4.0) for point in found.points[:5]]
    find_changes([found], 0.05)

    assert found.splits == []
    assert "a ladder ends at 4: what is above does not show" in found.note


def test_a_service_that_dies_is_a_change(cell: CellData) -> None:
    found = series(cell, [5.0, 5.1, 4.9, 5.05, 4.95, *[-math.inf] * 5])
    find_changes([found], 0.05)

    assert [split["word"] for split in found.splits] == ["worse"]


def test_time_is_that_of_the_cells_else_of_their_steps(cell: CellData) -> None:
    assert measured_at([replace(cell, cell={**cell.cell, "started_at": 7.0})]) == 7.0
    begun = min(step["started_at"] for step in cell.steps)
    assert measured_at([cell]) == begun
    assert math.isnan(measured_at([]))


@pytest.fixture(scope="module")
def three() -> list[dict[str, Any]]:
    """Give the histories of three campaigns, the last under another workload, in a wrong order."""
    pasts = []
    for day, changed in ((1, {}), (0, {}), (2, {"workload": {"kind": "plain_http"}})):
        cells = made([2.0], definition=changed, seed=day + 1)
        begun = [replace(each, cell={**each.cell, "started_at": DAY * day}) for each in cells]
        slos = [Slo("fast", "latency_seconds", "p50", 0.5)]
        pasts.append(Past(f"c{day}", f"results/{'zyx'[day]}", {}, slos, begun))
    return histories(pasts)


def test_a_history_is_one_workload_in_the_order_of_time(three: list[dict[str, Any]]) -> None:
    found = {tuple(each["campaign"] for each in told["campaigns"]) for told in three}

    assert found == {("c0", "c1"), ("c2",)}
    assert {told["hardware"]["cpu"][0] for told in three} == {"AMD EPYC 7742"}


def test_the_usual_figures_are_capacities_and_what_is_judged(three: list[dict[str, Any]]) -> None:
    told = next(told for told in three if len(told["campaigns"]) == 2)
    heads = [(row["metric"], row["stat"], row["at"]) for row in told["series"]]

    assert heads[:2] == [("capacity_qps", "value", ""), ("slo_capacity_qps", "value", "")]
    assert [(metric, stat) for metric, stat, _ in heads[2:]] == [("latency_seconds", "p50")]
    point = told["series"][2]["points"][0]
    assert point["ci_low"] <= point["value"]
    assert (
        point["ci_high"] is None
    )  # requests that depend on each other, and are worth fewer than thirty
    assert point["ci_method"] == "this run only"


def test_a_level_chooses_one_step() -> None:
    cells = [replace(each, cell={**each.cell, "started_at": 1.0}) for each in made([8.0])]
    (told,) = histories(
        [Past("c", "c", {}, (), cells)],
        [Primary("latency_seconds", "p50", "", 3.0), Primary("throughput_qps")],
    )

    assert [(row["metric"], row["target_qps"]) for row in told["series"]] == [
        ("latency_seconds", 3.0),
        ("throughput_qps", 3.0),
    ]
    (told,) = histories([Past("c", "c", {}, (), cells)], [Primary("latency_seconds", "p50", "", 6)])
    assert told["series"] == []
