"""What bounds are made of: the KPIs of a cell, and the figures of its hardware."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from escalade.analysis.bounds.bound import Input
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from escalade.analysis.measured.cell import CellData

_Row = tuple[float | None, float | None, float | None, str]
"""Of a KPI: value, lower and upper end of the interval, quality."""


@dataclass(frozen=True)
class Sources:
    """Where figures of the hardware come from: what is given counts before what was measured."""

    given: Mapping[str, float]
    bounds: Mapping[str, Any] = field(default_factory=dict)

    def of(self, name: str, unit: str, measured: Input | None, why: str) -> Input:
        """Give a figure by its name in the configuration's section `bounds`.

        Parameters
        ----------
        name
            As in `flops_per_second`.
        unit
            Its unit.
        measured
            The one that was measured, or follows from the hardware's data.
        why
            Why there is none of these.
        """
        if name in self.given:
            source = f"given: bounds.{name} of the configuration or the site file"
            return Input(name, float(self.given[name]), unit, source)
        if measured is not None:
            return measured
        how = f"give bounds.{name} in the configuration or the site file"
        return Input(name, None, unit, f"{why}; {how}" if why else how)


@dataclass(frozen=True)
class Measured:
    """A cell with its KPIs, as bounds look at it.

    Attributes
    ----------
    data
        The cell.
    kpis
        Its rows of the KPI table.
    invalid
        Steps that a gate made INVALID.
    sources
        Where figures of the hardware come from.
    """

    data: CellData
    kpis: pd.DataFrame
    invalid: frozenset[int]
    sources: Sources

    @property
    def declared(self) -> Mapping[str, Any]:
        """What the recipe says of the service's bounds."""
        return self.data.bounds.get("recipe") or {}

    @property
    def copies(self) -> int:
        """Number of copies of the service."""
        return self.data.replicas

    @property
    def nodes(self) -> int:
        """Number of nodes that copies of the service run on; 1 of a service without copies."""
        copies = (self.data.environment.get("service") or {}).get("replicas") or ()
        return max(1, len({each["node"] for each in copies}))

    @property
    def of_copies(self) -> list[Input]:
        """Give their number, as an input of a bound on all of them together; nothing of one."""
        source = "replicas of the deployment"
        source += f", on {self.nodes} nodes" if self.nodes > 1 else ""
        return [Input("replicas", float(self.copies), "", source)] if self.copies > 1 else []

    @cached_property
    def steps(self) -> list[int]:
        """Numbers of the steps that have KPIs."""
        return sorted({int(step) for step in self.kpis["step"]} - {0})

    @cached_property
    def mixed(self) -> bool:
        """Whether several workloads share its steps: a mean over requests is then none of each kind."""
        return bool(self.kpis["source"].str.contains('workload="', regex=False).any())

    def where(self, step: int | None = None) -> dict[str, Any]:
        """Begin a row."""
        return {"cell": self.data.name, "deployment": self.data.deployment, "step": step}

    def note(self, step: int) -> str:
        """Say what is to be known of a step."""
        return "the step is INVALID" if step in self.invalid else ""

    def value(self, step: int, metric: str, stat: str = "value") -> float | None:
        """Give a KPI of a step as a whole; None when it has no value."""
        return self._row(step, metric, stat)[0]

    def low(self, step: int, metric: str, stat: str = "value") -> float | None:
        """Give the lower end of its interval; None when there is none."""
        return self._row(step, metric, stat)[1]

    def high(self, step: int, metric: str, stat: str = "value") -> float | None:
        """Give the upper end of its interval; infinite where nothing bounds it, None without one."""
        return self._row(step, metric, stat)[2]

    def quality(self, step: int, metric: str, stat: str = "value") -> str:
        """Give its quality; empty when there is no such row."""
        return self._row(step, metric, stat)[3]

    def _row(self, step: int, metric: str, stat: str) -> _Row:
        return self._table.get((step, metric, stat), (None, None, None, ""))

    @cached_property
    def _table(self) -> dict[tuple[int, str, str], _Row]:
        found: dict[tuple[int, str, str], _Row] = {}
        for row in rows_of(self.kpis).to_dict("records"):
            key = int(row["step"]), str(row["metric"]), str(row["stat"])
            high = float(row["ci_high"])
            found.setdefault(
                key,
                (
                    finite(row["value"]),
                    finite(row["ci_low"]),
                    None if math.isnan(high) else high,
                    str(row["quality"]),
                ),
            )
        return found
