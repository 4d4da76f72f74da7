"""Made-up pairs: cells that ran in the order ABBA BAAB, and KPI tables whose ratios are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.kpis.readings import COLUMNS
from escalade.analysis.measured.cell import CellData
from escalade.analysis.scenarios.pairs import Question, compare_pairs
from unit.analysis.builders import requests_frame, series_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_REQUESTS, NO_SERIES = requests_frame([]), series_frame([])
P90 = ("latency_seconds", "p90")
RATE = ("throughput_qps", "value")
ASKED = Question("old", "new", (P90,), step=1)
UNITS = {"latency_seconds": "s", "throughput_qps": "1/s", "service_cpu_cores": "cores"}


def cell(deployment: str, repetition: int, begun: float, **changes: Any) -> CellData:
    """Give a cell of two steps that took 50 s, without requests: the KPIs are given."""
    steps = [{"step": number, "target_qps": 10.0 * number} for number in (1, 2)]
    return CellData(
        cell={
            "cell": f"{deployment}_rep-{repetition}",
            "deployment": deployment,
            "repetition": repetition,
            "started_at": begun,
            "ended_at": begun + 50.0,
            "node": changes.pop("on", "n1"),
            "definition": {"seed": repetition, "deployment": changes.pop("defined", {})},
        },
        windows={"steps": steps},
        requests=NO_REQUESTS,
        series=NO_SERIES,
        environment={"node": {"cpu_model": "A"}, **changes},
    )


def cells(pairs: int, **new: Any) -> list[CellData]:
    """Give the cells of so many pairs, ABBA BAAB, one a minute."""
    order = "ABBABAAB" * pairs
    found, count = [], {"A": 0, "B": 0}
    for place, side in enumerate(order[: 2 * pairs]):
        count[side] += 1
        made = ("old", {}) if side == "A" else ("new", new)
        found.append(cell(made[0], count[side], 60.0 * place, **made[1]))
    return found


def table(values: Mapping[tuple[str, str], Mapping[str, Sequence[float]]], step: int = 1) -> Any:
    """Make a KPI table: values of both deployments, by repetition."""
    rows = [
        {
            "cell": f"{deployment}_rep-{repetition}",
            "deployment": deployment,
            "repetition": repetition,
            "step": step,
            "metric": metric,
            "stat": stat,
            "value": value,
            "unit": UNITS.get(metric, ""),
            "source": "requests.parquet",
            "quality": "ok" if math.isfinite(value) else "missing: nothing came",
        }
        for (metric, stat), sides in values.items()
        for deployment, found in sides.items()
        for repetition, value in enumerate(found, start=1)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def gate(
    cell: str, outcome: str, name: str = "late_ratio", *, invalidates: bool = True
) -> dict[str, Any]:
    return {
        "cell": cell,
        "step": 1,
        "gate": name,
        "outcome": outcome,
        "detail": "3 % were late",
        "invalidates": invalidates,
    }


def compared(
    values: Mapping[tuple[str, str], Mapping[str, Sequence[float]]],
    question: Question = ASKED,
    gates: Sequence[Mapping[str, Any]] = (),
    pairs: int = 8,
    **new: Any,
) -> dict[str, Any]:
    return compare_pairs(table(values), cells(pairs, **new), gates, question)


def times(*ratios: float) -> dict[str, list[float]]:
    """Give an old p90 that doubles from pair to pair, and a new one in these ratios to it."""
    old = [0.1 * 2**place for place in range(len(ratios))]
    return {"old": old, "new": [each * ratio for each, ratio in zip(old, ratios, strict=True)]}
