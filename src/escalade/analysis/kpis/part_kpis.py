"""KPIs of a part of a step's requests: of each workload of a mix, of first and later turns.

They stand beside those of the whole step, with the part in the row's label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.analysis.kpis.readings import Reading, plain, with_label
from escalade.analysis.kpis.request_kpis import (
    abandoned,
    errors,
    goodput,
    throughput,
    times,
    tokens,
)
from escalade.analysis.kpis.request_kpis import flagged as flagged_by
from escalade.analysis.measured.levels import RATE

if TYPE_CHECKING:
    from escalade.analysis.kpis.steps import MeasuredStep


def part_readings(step: MeasuredStep) -> list[Reading]:
    """Compute the KPIs of each workload of a mix, and of first and later turns; none without such.

    The rate at which a part was offered, its answers, errors, times and tokens: what the
    service or the client does as a whole belongs to the whole step. A time is marked as the
    step's own is: parts wait in the same queue.
    """
    found: list[Reading] = []
    parts = [("workload", name, step.part(name)) for name in step.workloads]
    parts += [("turn", name, part) for name, part in step.turns.items()]
    for key, name, part in parts:
        readings = [
            *([_offered(part)] if step.level.name == RATE else ()),
            throughput(part),
            *(goodput(part) if part.slos else ()),
            errors(part),
            *abandoned(part),
            *(flagged_by(reading, step) for reading in times(part)),
            *tokens(part),
        ]
        found += [with_label(reading, **{key: name}) for reading in readings]
    return found


def _offered(part: MeasuredStep) -> Reading:
    rate = len(part.cohort) / part.window.seconds
    return plain("offered_qps", rate, "", n=len(part.cohort))


def without_parts_objectives(step: MeasuredStep) -> MeasuredStep:
    """Give the step with the objectives on all of its requests alone."""
    return replace(step, slos=[slo for slo in step.slos if slo.workload is None])
