"""What is derived from one cell is what the verdicts of its campaign hold."""

from __future__ import annotations

import pandas as pd

from escalade.analysis.compare.derived import derive
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import ladder

SLOS = [Slo("fast", "latency_seconds", "p90", 0.4)]


def test_a_cell_derived_by_itself_is_the_cell_of_its_campaign() -> None:
    cell = ladder([3.0, 9.0, 14.0], seconds=20.0)

    found = derive(cell, SLOS)

    kpis = cell_kpis(cell, SLOS)
    verdicts = judge(kpis, [cell], SLOS)
    pd.testing.assert_frame_equal(found.kpis, kpis)
    assert list(found.gates) == verdicts["gates"]
    (row,) = verdicts["capacity"]
    behind = {"slo_passed_qps", "slo_failed_qps"}  # verdicts, of which this has none
    assert found.capacity == {name: value for name, value in row.items() if name not in behind}
