"""Headroom: use against limit at two places of the ladder; what is missing is not zero."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.analysis.capacity.headroom import headroom
from unit.analysis.campaigns import DEMAND, OFFERED, Made, fine


def rows_of(made: Made, slo_capacity: float | None = None) -> list[dict[str, Any]]:
    verdicts = made.verdicts
    capacity = [{**row, "slo_capacity_qps": slo_capacity} for row in verdicts["capacity"]]
    return headroom(made.kpis, made.cells, verdicts["gates"], capacity)


def part(rows: list[dict[str, Any]], resource: str, place: str = "top") -> dict[str, Any]:
    return next(row for row in rows if (row["resource"], row["place"]) == (resource, place))


def test_what_is_left_is_one_minus_use_by_limit() -> None:
    row = part(rows_of(fine(1)), "service_cpu")

    # 0.19 CPU s × 10 requests/s of 2 cores
    assert (row["used"], row["limit"]) == (pytest.approx(10 * DEMAND), 2.0)
    assert row["headroom_ratio"] == pytest.approx(1 - 10 * DEMAND / 2)
    assert row["source"] == "service_cpu_cores, mean (series.parquet)"


def test_at_the_slo_capacity_stands_for_the_highest_step_that_is_not_above_it() -> None:
    made = fine(1)
    between = (OFFERED[1] + OFFERED[2]) / 2

    found = part(rows_of(made, between), "service_cpu", "slo_capacity")

    assert found["step"] == 2
    assert found["used"] == pytest.approx(OFFERED[1] * DEMAND)


def test_without_an_slo_capacity_there_is_the_top_step_alone() -> None:
    assert {row["place"] for row in rows_of(fine(1))} == {"top"}


def test_what_was_not_measured_has_no_headroom_and_a_reason() -> None:
    row = part(rows_of(fine(1).drop("service_cpu_cores")), "service_cpu")

    assert (row["used"], row["headroom_ratio"]) == (None, None)
    assert row["words"] == "the CPU time of the service was not scraped"


def test_a_queue_has_no_limit_and_so_no_headroom() -> None:
    row = part(rows_of(fine(1)), "queue")

    assert (row["limit"], row["headroom_ratio"]) == (None, None)
