"""Draws what a step's rows hold: each column from a stream of random numbers of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.errors import InputError
from escalade.load.abandonment import draw_abandonment
from escalade.load.arrivals import Poisson, Ramp, process_of
from escalade.load.conversation import with_turns
from escalade.load.lengths import draw_lengths
from escalade.load.mix import COLUMN as WORKLOAD
from escalade.load.mix import draw_mix
from escalade.load.trace import read_trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from escalade.load.schedule import StepPlan
    from escalade.load.trace import Trace

PHASES = ("warmup", "window")
_LENGTHS, _ABANDONMENT, _MIX, _TURNS = 2, 4, 5, 6
"""Streams of random numbers beside those of the phases."""


def draw_step(plan: StepPlan, seed: int) -> pd.DataFrame:
    """Draw the rows of one step, in order of their planned times; see `schedule.draw_schedule`."""
    import pandas as pd  # noqa: PLC0415

    counts = [plan.count(phase) for phase in PHASES]
    total = sum(counts)
    trace = _trace_of(plan) if plan.arrivals == "trace" else None
    columns: dict[str, Any] = {
        "index": np.arange(total),
        "phase": np.repeat(PHASES, counts),
        "offset_seconds": np.concatenate([_draw_phase(plan, phase, seed) for phase in PHASES])
        if trace is None
        else trace.at(float(plan.target_qps or 0))[:total],
    }
    columns |= _draw_one(plan, counts, seed)
    if plan.mix:
        columns |= draw_mix(plan.mix, counts, [seed, plan.step, _MIX])
    if trace is not None:
        columns |= {name: values[:total] for name, values in trace.columns.items()}
    talks = plan.mix or [vars(plan)]
    for place, part in enumerate(talks):
        if part.get("conversation"):
            mine = columns["turn"] == 0 if "turn" in columns else np.ones(total, dtype=bool)
            if plan.mix:
                mine &= columns[WORKLOAD] == place
            columns = with_turns(columns, mine, part, [seed, plan.step, _TURNS, place])
    return pd.DataFrame(columns).assign(step=plan.step)


def _draw_one(plan: StepPlan, counts: Sequence[int], seed: int) -> dict[str, np.ndarray]:
    """Draw lengths and abandonment of the requests of one workload."""
    columns = {}
    for place, name in enumerate(("input_tokens", "output_tokens"), start=_LENGTHS):
        rng = np.random.default_rng([seed, plan.step, place])
        columns[name] = draw_lengths(getattr(plan, name), sum(counts), rng)
    if plan.abandon:
        rng = np.random.default_rng([seed, plan.step, _ABANDONMENT])
        columns |= draw_abandonment(plan.abandon, counts, rng)
    return columns


def _draw_phase(plan: StepPlan, phase: str, seed: int) -> np.ndarray:
    start, end = plan.bounds(phase)
    if plan.target_qps is None:
        return np.full(plan.count(phase), np.nan if plan.open_ended else start)
    rng = np.random.default_rng([seed, plan.step, PHASES.index(phase)])
    process = process_of(plan.arrivals, plan.parameters)
    if phase == "warmup" and isinstance(process, Ramp):
        process = Poisson()
    drawn = start + process.draw(plan.count(phase), end - start, rng)
    # Rounding may carry the last arrival onto the end, which belongs to the next phase.
    return np.minimum(drawn, np.nextafter(end, start))


def _trace_of(plan: StepPlan) -> Trace:
    path = Path(plan.parameters["file"])
    trace = read_trace(path)
    if trace.sha256 != plan.parameters["sha256"]:
        raise InputError(f"Trace: {path} has changed since the campaign was planned. Start again.")
    return trace
