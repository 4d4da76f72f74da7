"""Gates: whether a step's figures may be trusted, and in what state it was.

A gate that *invalidates* says that the instrument failed: no verdict stands on
such a step. The others flag the state of the service; verdicts take them into
account (see docs/metrics.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.calibration import calibration_gate
from escalade.analysis.gates.gate import Found, Gate, passed
from escalade.analysis.gates.gpu_headroom import gpu_headroom
from escalade.analysis.gates.gpu_samples import gpu_samples
from escalade.analysis.gates.instrument_gates import INSTRUMENT
from escalade.analysis.gates.live_metrics import live_metrics
from escalade.analysis.gates.loop_gates import LOOP
from escalade.analysis.gates.state_gates import STATE
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.kpis.steps import measured_steps, why_unmeasured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData, Slo


def cell_gates(
    data: CellData, kpis: pd.DataFrame, slos: Sequence[Slo] = ()
) -> list[dict[str, Any]]:
    """Check every step of a cell.

    Parameters
    ----------
    data
        The cell.
    kpis
        Its KPI table, made with the same `slos`.
    slos
        They say which statistic the sample floor is for (p90 without any), and
        which latency the client's lateness is compared with.

    Returns
    -------
    list of dict
        cell, step, gate, value, limit, unit, outcome, detail, invalidates;
        steps ascending, gates in a fixed order. A step that was not measured
        has one row, `step_measured`.
    """
    measured = measured_steps(data, slos)
    rows = []
    for outcome in data.steps:
        number = int(outcome["step"])
        gates = [step_measured(outcome)]
        if why_unmeasured(outcome) is None:
            mine = kpis[(kpis["cell"] == data.name) & (kpis["step"] == number)]
            gates += _checked(Found(next(measured), rows_of(mine)), data)
        rows += [gate.row(data.name, number) for gate in gates]
    return rows


def _checked(found: Found, data: CellData) -> list[Gate]:
    loop = LOOP if found.step.level.closed else ()
    gates = [check(found) for check in (*INSTRUMENT, *loop, *STATE)]
    if data.calibration is not None:
        gates.append(calibration_gate(data.calibration))
    further = (live_metrics(found), gpu_samples(found), gpu_headroom(found))
    return gates + [gate for gate in further if gate is not None]


def step_measured(outcome: Mapping[str, Any]) -> Gate:
    """Check that a step was measured: to its end, or until it was decided."""
    why = why_unmeasured(outcome)
    detail = why or str(outcome.get("cause") or "the step ran to its end")
    return Gate("step_measured", passed(why is None), detail, invalidates=True)
