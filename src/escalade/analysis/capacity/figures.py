"""The figures of one cell as bottleneck and findings look them up: KPIs, gates, samples, rungs."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.capacity import rungs
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.measured.levels import level_of
from escalade.analysis.measured.series import Samples
from escalade.analysis.measured.windows import window_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.capacity.capacity import Rung
    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.levels import Level
    from escalade.analysis.measured.windows import Window


RAW = (
    *("node_disk_io_time_seconds_total", "node_memory_SwapFree_bytes"),
    *("node_memory_SwapTotal_bytes", "node_network_receive_bytes_total"),
    *("node_network_speed_bytes", "node_network_transmit_bytes_total"),
    *("cache_hit_rate_target", "cache_ttl_seconds"),
)
"""Metrics that no KPI is made of: of node_exporter, and what a service says that its caches are set to."""


@dataclass(frozen=True)
class Figure:
    """One number of the KPI table."""

    value: float
    low: float
    high: float
    n: int
    unit: str
    source: str
    quality: str


NO_FIGURE = Figure(math.nan, math.nan, math.nan, 0, "", "", "missing: not in the KPI table")


@dataclass(frozen=True)
class Evidence:
    """A number that a statement rests on.

    Attributes
    ----------
    kpi, stat
        As in the table of KPIs; a raw metric's name where no KPI is made of it.
    cell, step
        Where it was measured; step 0 is the whole cell.
    value, limit
        What was found and what it is held against; NaN for what is not known.
    unit, source
        Unit of both, and the file that it comes from.
    words
        What it says.
    speaks
        "for" the statement, "against" it, or "neither".
    """

    kpi: str
    stat: str
    cell: str
    step: int
    value: float
    unit: str = ""
    limit: float = math.nan
    source: str = ""
    words: str = ""
    speaks: str = "for"

    def row(self) -> dict[str, Any]:
        """Make a row of verdicts.json; a number that JSON can't hold becomes None."""
        return {
            "kpi": self.kpi,
            "stat": self.stat,
            "cell": self.cell,
            "step": self.step,
            "value": finite(self.value),
            "limit": finite(self.limit),
            "unit": self.unit,
            "source": self.source,
            "words": self.words,
            "speaks": self.speaks,
        }


class Figures:
    """What was found for one cell.

    Parameters
    ----------
    data
        The cell.
    kpis
        KPI table; rows of other cells are passed over.
    gates, capacity
        Rows of verdicts.json; those of other cells are passed over.
    """

    def __init__(
        self,
        data: CellData,
        kpis: pd.DataFrame,
        gates: Sequence[Mapping[str, Any]],
        capacity: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.data = data
        self._samples: dict[int, Samples] = {}
        self.kpis = kpis[kpis["cell"] == data.name]
        self.gates = [gate for gate in gates if gate["cell"] == data.name]
        self.capacity: Mapping[str, Any] = next(
            (row for row in capacity if row["cell"] == data.name), {}
        )

    @property
    def name(self) -> str:
        """Name of the cell."""
        return self.data.name

    @cached_property
    def levels(self) -> dict[int, Level]:
        """What each step was loaded with."""
        return {int(outcome["step"]): level_of(outcome) for outcome in self.data.steps}

    @cached_property
    def rungs(self) -> list[Rung]:
        """The valid steps of a constant rate, ascending in offered rate."""
        return rungs(rows_of(self.kpis), self.gates)

    @cached_property
    def stable(self) -> list[Rung]:
        """Those of them that are not beyond saturation."""
        return [rung for rung in self.rungs if not rung.saturated]

    @cached_property
    def knee(self) -> Rung | None:
        """The lowest rung beyond saturation, None when none is."""
        return next((rung for rung in self.rungs if rung.saturated), None)

    @cached_property
    def calm(self) -> list[int]:
        """Valid steps that are at most at 80 % of the capacity, or of the top rate without one.

        Nearer to it queues fluctuate for long even in a steady state.
        """
        known = self.capacity.get("capacity_qps")
        limit = 0.8 * known if known is not None else math.inf
        return [rung.step for rung in self.stable if rung.offered <= limit]

    @cached_property
    def _table(self) -> Mapping[tuple[int, str, str], list[Figure]]:
        found: dict[tuple[int, str, str], list[Figure]] = defaultdict(list)
        for row in self.kpis.to_dict("records"):
            figure = Figure(
                float(row["value"]),
                float(row["ci_low"]),
                float(row["ci_high"]),
                int(row["n"]),
                str(row["unit"]),
                str(row["source"]),
                str(row["quality"]),
            )
            found[int(row["step"]), str(row["metric"]), str(row["stat"])].append(figure)
        return found

    def rows(self, step: int, metric: str, stat: str = "value") -> list[Figure]:
        """Give all known rows of a statistic in a step, one per label."""
        found = self._table.get((step, metric, stat), [])
        return [figure for figure in found if math.isfinite(figure.value)]

    def figure(self, step: int, metric: str, stat: str = "value") -> Figure:
        """Give the row of a statistic that belongs to the step as a whole; without a value when unknown."""
        own = [row for row in self.rows(step, metric, stat) if not _of_part(row)]
        return own[0] if own else NO_FIGURE

    def value(self, step: int, metric: str, stat: str = "value") -> float:
        """Give the value of `figure`; NaN when it is not known."""
        return self.figure(step, metric, stat).value

    def gate(self, step: int, name: str) -> Mapping[str, Any]:
        """Give a gate of a step; {} when it was not looked at."""
        return next((g for g in self.gates if g["step"] == step and g["gate"] == name), {})

    def failing(self, *names: str) -> list[Mapping[str, Any]]:
        """Give the gates of these names that failed, in the order of the steps."""
        return [g for g in self.gates if g["gate"] in names and g["outcome"] == "fail"]

    def samples(self, step: int) -> Samples:
        """Give the raw samples of a step, of the metrics in `RAW`."""
        if step not in self._samples:
            frame = self._raw[self._raw["step"] == step]
            self._samples[step] = Samples(frame, self.data.scrape_interval_seconds)
        return self._samples[step]

    @cached_property
    def _raw(self) -> pd.DataFrame:
        series = self.data.series
        return series[series["metric"].isin(RAW)]

    def window(self, step: int) -> Window | None:
        """Give the window of a step, None when it has none."""
        outcome = next((o for o in self.data.steps if int(o["step"]) == step), {})
        return window_of(outcome)

    @property
    def environment(self) -> Mapping[str, Any]:
        """Content of environment.json."""
        return self.data.environment

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters of the recipe, as the service was started with them."""
        return (self.environment.get("service") or {}).get("parameters") or {}

    @property
    def recipe(self) -> str:
        """Name of the recipe; empty when it is not known."""
        return str((self.environment.get("service") or {}).get("recipe") or "")

    def evidence(
        self, step: int, metric: str, stat: str = "value", words: str = "", **more: Any
    ) -> Evidence:
        """Give a KPI as evidence."""
        found = self.figure(step, metric, stat)
        return Evidence(
            metric,
            stat,
            self.name,
            step,
            found.value,
            found.unit,
            source=found.source,
            words=words,
            **more,
        )

    def proof(self, gate: Mapping[str, Any]) -> Evidence:
        """Give a gate as evidence."""
        value, limit = gate.get("value"), gate.get("limit")
        return Evidence(
            f"gate {gate['gate']}",
            str(gate["outcome"]),
            self.name,
            int(gate["step"]),
            math.nan if value is None else float(value),
            str(gate.get("unit") or ""),
            math.nan if limit is None else float(limit),
            "verdicts.json",
            str(gate["detail"]),
        )


def _of_part(figure: Figure) -> bool:
    return 'workload="' in figure.source or 'turn="' in figure.source
