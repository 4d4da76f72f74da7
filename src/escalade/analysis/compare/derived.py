"""What follows from one measured cell: its KPIs, its gates and its capacities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.capacity import ladder_capacity
from escalade.analysis.capacity.slo_capacity import bounded, slo_capacity
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.verdicts.judge import sought

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.capacity.slo_capacity import SloCapacity
    from escalade.analysis.measured.cell import CellData, Slo

_BOUNDS = ("capacity_qps", "ci_high")


@dataclass(frozen=True)
class Derived:
    """One cell with what was derived from it.

    Attributes
    ----------
    cell
        As measured.
    kpis
        Its rows of kpis.csv.
    gates, capacity
        Its rows of verdicts.json.
    slo_capacity
        What `capacity` tells of the objectives, and whether the rate lies beyond the ladder.
    """

    cell: CellData
    kpis: pd.DataFrame
    gates: Sequence[Mapping[str, Any]]
    capacity: Mapping[str, Any]
    slo_capacity: SloCapacity


def derive(cell: CellData, slos: Sequence[Slo]) -> Derived:
    """Derive everything from a cell's requests and samples, held to the objectives given.

    Raises
    ------
    NoDataError
        When the request log or the samples lack a column.
    """
    kpis = cell_kpis(cell, slos)
    gates = cell_gates(cell, kpis, slos)
    mine = sought(cell, slos)
    capacity = ladder_capacity(kpis, gates, mine)
    known = (math.nan if capacity[name] is None else capacity[name] for name in _BOUNDS)
    rate = bounded(slo_capacity(kpis, gates, mine), *known)
    return Derived(cell, kpis, gates, capacity, rate)
