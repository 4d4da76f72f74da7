"""Ideal scaling: replicas against as many times one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.bounds.rows import bound_rows
from unit.analysis.bounded import kpis_of
from unit.analysis.builders import cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import CellData


def scaled(deployment: str, replicas: int, **alike: Any) -> CellData:
    declared = {"replicas": replicas, "replicated": {"recipe": "own", **alike}}
    return replace(cell(deployment=deployment), bounds={"recipe": declared})


def capacity_row(deployment: str, qps: float | None, **more: Any) -> dict[str, Any]:
    base = {"deployment": deployment, "cell": "c", "capacity_qps": qps, "ci_low": None}
    return base | more


def scaling(cells: Sequence[CellData], capacity: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = bound_rows(kpis_of(cells[0]), cells, [], capacity, {})
    return [row for row in rows if row["cell"] is None]


def test_replicas_are_held_against_as_many_times_one() -> None:
    cells = [scaled("one", 1, threads=2), scaled("four", 4, threads=2)]
    capacity = [capacity_row("one", 10.0), capacity_row("four", 34.0)]

    (row,) = scaling(cells, capacity)

    assert (row["deployment"], row["value"], row["attained"]) == ("four", 40.0, 34.0)
    assert row["words"] == (
        "capacity of 4 replicas: 34 requests/s, 85 % of the ideal scaling of 40 requests/s"
    )


def test_over_repetitions_the_joint_capacity_counts() -> None:
    cells = [scaled("one", 1), scaled("four", 4)]
    capacity = [
        capacity_row("one", 9.0),
        capacity_row("one", 11.0),
        capacity_row("one", 10.0, cell=None),
        capacity_row("four", 34.0),
    ]

    assert scaling(cells, capacity)[0]["value"] == 40.0


@pytest.mark.parametrize(
    ("cells", "qps"),
    [
        ([scaled("one", 1, threads=2), scaled("four", 4, threads=8)], 34.0),  # they differ in more
        ([scaled("two", 2), scaled("four", 4)], 34.0),  # none of one
        ([scaled("one", 1), scaled("four", 4)], None),  # capacity not known
    ],
)
def test_what_can_not_be_compared_has_no_ideal_scaling(
    cells: Sequence[CellData], qps: float | None
) -> None:
    capacity = [capacity_row(each.deployment, 10.0) for each in cells[:1]]

    assert scaling(cells, [*capacity, capacity_row("four", qps)]) == []
