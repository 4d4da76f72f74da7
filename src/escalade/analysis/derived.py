"""What follows from one measured cell: its KPIs, its gates and its capacities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity import ladder_capacity
from escalade.analysis.gates import cell_gates
from escalade.analysis.kpis import cell_kpis
from escalade.analysis.verdicts import sought

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.cell import CellData, Slo


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
    """

    cell: CellData
    kpis: pd.DataFrame
    gates: Sequence[Mapping[str, Any]]
    capacity: Mapping[str, Any]


def derive(cell: CellData, slos: Sequence[Slo]) -> Derived:
    """Derive everything from a cell's requests and samples, held to the objectives given.

    Raises
    ------
    NoDataError
        When the request log or the samples lack a column.
    """
    kpis = cell_kpis(cell, slos)
    gates = cell_gates(cell, kpis, slos)
    return Derived(cell, kpis, gates, ladder_capacity(kpis, gates, sought(cell, slos)))
