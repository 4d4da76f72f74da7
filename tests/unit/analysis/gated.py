"""Steps of a good client, and their gates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import GOOD_CLIENT, NODE_TARGET, Request, Step, up

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData, Slo

SECONDS = [float(at) for at in range(-2, 13)]
GOOD = [Request(0.1 * at, latency=0.05, sent=0.1 * at + 0.0002) for at in range(100)]


def gates_of(data: CellData, *slos: Slo, step: int = 1) -> dict[str, dict[str, Any]]:
    rows = cell_gates(data, cell_kpis(data, slos), slos)
    return {row["gate"]: row for row in rows if row["step"] == step}


def good_step(requests: list[Request] | None = None, **changes: Any) -> Step:
    step = Step(
        GOOD if requests is None else requests, client=GOOD_CLIENT, samples=up(NODE_TARGET, SECONDS)
    )
    return replace(step, **changes)
