"""Made-up comparisons: repetitions of which the values of a KPI are given."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.capacity.slo_capacity import SloCapacity
from escalade.analysis.compare.compared import Side, compare
from escalade.analysis.compare.derived import Derived
from escalade.analysis.compare.primary import family_of
from unit.analysis.builders import Step, cell

if TYPE_CHECKING:
    from collections.abc import Sequence

P90 = "latency_seconds", "p90", ""
RATE = "throughput_qps", "value", ""
SEVEN = [0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03]
PASSED = {"gate": "late_ratio", "outcome": "pass", "detail": "fine", "invalidates": True}
NO_CAPACITY = {
    "capacity_qps": None,
    "ci_low": None,
    "method": "none",
    "reason": "no valid step",
}
Row = tuple[str, str, str]


def one(
    repetition: int,
    values: dict[Row, float | str],
    *,
    deployment: str = "demo",
    outcome: str = "measured",
    rates: Sequence[float] = (1.0,),
    capacity: dict[str, Any] | None = None,
    slo: SloCapacity | None = None,
    gate: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    seconds: float = 60.0,
) -> Derived:
    """Give what was derived from a repetition; a text among the values is a quality without a value.

    All of `values` belong to the last step; of those before only the latency is known, 1 s.
    """
    steps = [Step(target_qps=rate, outcome=outcome) for rate in rates]
    made = cell(*steps, deployment=deployment, repetition=repetition, **(environment or {}))
    ladder = [{"target_qps": rate, "window_seconds": seconds} for rate in rates]
    told = {"definition": {"load": {"ladder": ladder}}, "outcome": "finished"}
    last = len(rates)
    rows = [
        {
            "step": last,
            "metric": metric,
            "stat": stat,
            "source": f"requests.parquet{label}",
            "value": math.nan if isinstance(value, str) else value,
            "quality": value if isinstance(value, str) else "ok",
        }
        for (metric, stat, label), value in values.items()
    ]
    rows += [
        {"step": n, "metric": P90[0], "stat": P90[1], "source": "x", "value": 1.0, "quality": "ok"}
        for n in range(1, last)
    ]
    columns = ["step", "metric", "stat", "source", "value", "quality"]
    return Derived(
        replace(made, cell={**made.cell, **told}),
        pd.DataFrame(rows, columns=columns),
        [{"step": last, **(gate or PASSED)}],
        capacity or NO_CAPACITY,
        slo or SloCapacity(math.nan, "no SLO"),
    )


def side(values: Sequence[float | str], row: Row = P90, **changes: Any) -> Side:
    """Give a campaign with one repetition for each value of one KPI."""
    cells = [one(number, {row: value}, **changes) for number, value in enumerate(values, start=1)]
    return Side({"campaign": "small", "software": {"escalade": "0.1"}}, cells)


def compared(before: Side, after: Side, *primary: str, margin: float = 0.05) -> dict[str, Any]:
    """Compare, and insist on JSON without NaN."""
    found = compare(before, after, family_of(primary), margin)
    json.dumps(found, allow_nan=False)
    return found


def row_of(found: dict[str, Any], metric: str = P90[0]) -> dict[str, Any]:
    """Give the only row of a metric."""
    rows = [row for row in found["kpis"] if row["metric"] == metric]
    assert len(rows) == 1
    return rows[0]


def times(factor: float) -> list[float | str]:
    """Give the seven values, each that many times as large."""
    return [factor * value for value in SEVEN]
