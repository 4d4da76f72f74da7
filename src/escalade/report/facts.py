"""The cells of a campaign as the report tells them: what was measured, and the state of every step."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.steps import GIVEN_UP
from escalade.report.axis import level
from escalade.report.words import clean, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.levels import Level

SATURATED = "over-saturated"
INVALID = "invalid"
VALID = "valid"
FAILED = "failed"
SATURATION_GATE = "over_saturation"
NOT_RUN = "not run"

VERDICTS = ("FAIL", "INVALID", "INCONCLUSIVE", "PASS", "NOT_RUN")
"""From the one that a reader must see first to the one that can wait."""

ByStep = dict[tuple[str, float], list[dict[str, Any]]]
"""Rows of the verdicts by the cell and the step that they are about."""


@dataclass(frozen=True)
class StepFacts:
    """One step of a cell: where it stood on the ladder and how it ended."""

    number: int
    level: Level
    arrivals: str
    outcome: str
    state: str
    verdict: str | None
    cause: str
    log_tail: tuple[str, ...]
    times: Mapping[str, float]
    planned: Mapping[str, Any]

    @property
    def place(self) -> float:
        """Its rate, concurrency or number of samples; see `ReportData.axis`."""
        return self.level.value

    @property
    def measured(self) -> bool:
        """Whether the step has a window to look at."""
        return self.outcome in ("measured", GIVEN_UP)


@dataclass(frozen=True, eq=False)
class CellFacts:
    """One cell with its steps, told from others by identity; `number` is its place in the report, from 1."""

    number: int
    name: str
    deployment: str
    repetition: int
    finished: bool
    cause: str
    log_tail: tuple[str, ...]
    steps: tuple[StepFacts, ...]
    requests: pd.DataFrame
    series: pd.DataFrame
    environment: Mapping[str, Any]
    started_at: float
    scrape_interval_seconds: float
    search: Mapping[str, Any]
    """What search.json says; empty for a ladder."""
    profile: pd.DataFrame | None = None
    """Fine readings of the GPUs, where there are any."""
    profiling: Mapping[str, Any] = field(default_factory=dict)
    """What windows.json says of them."""

    @property
    def anchor(self) -> str:
        """Name of the place in the page that shows this cell's numbers."""
        return f"cell-{self.number}"


def by_step(rows: Iterable[dict[str, Any]]) -> ByStep:
    """Gather gates or verdicts by cell and step, in their order."""
    found: ByStep = defaultdict(list)
    for row in rows:
        found[clean(row.get("cell")), known(row.get("step"))].append(row)
    return dict(found)


def facts_of(number: int, cell: CellData, gates: ByStep, slos: ByStep) -> CellFacts:
    """Tell of a cell what its files and the verdicts about its steps say."""
    content = cell.cell
    name = clean(content.get("cell") or f"cell {number}")
    outcomes = sorted(
        cell.windows.get("steps") or [], key=lambda outcome: _or(known(outcome.get("step")), 0)
    )
    steps = tuple(_step_facts(name, outcome, gates, slos) for outcome in outcomes)
    if cell.search:  # a ladder ascends by itself
        steps = tuple(sorted(steps, key=lambda step: (step.place, step.number)))
    began = [step.times["started_at"] for step in steps if math.isfinite(step.times["started_at"])]
    return CellFacts(
        number=number,
        name=name,
        deployment=clean(content.get("deployment") or name),
        repetition=int(_or(known(content.get("repetition")), 1)),
        finished=content.get("outcome") == "finished",
        cause=clean(content.get("cause") or ""),
        log_tail=_log(content.get("log_tail")),
        steps=steps,
        requests=cell.requests,
        series=cell.series,
        environment=cell.environment or {},
        started_at=min(began, default=math.nan),
        scrape_interval_seconds=_or(known(cell.windows.get("scrape_interval_seconds")), 1.0),
        search=cell.search,
        profile=cell.profile,
        profiling=cell.windows.get("profiling") or {},
    )


def _step_facts(cell: str, outcome: Mapping[str, Any], gates: ByStep, slos: ByStep) -> StepFacts:
    number = int(_or(known(outcome.get("step")), 0))
    ended = clean(outcome.get("outcome") or "not_run")
    judged = gates.get((cell, number), []), slos.get((cell, number), [])
    times = ("started_at", "window_start", "window_end", "drained_at")
    return StepFacts(
        number=number,
        level=level(outcome),
        arrivals=clean(outcome.get("arrivals") or ""),
        outcome=ended,
        state=_state(ended, *judged),
        verdict=_verdict(judged[1]),
        cause=clean(outcome.get("cause") or ""),
        log_tail=_log(outcome.get("log_tail")),
        times={key: known(outcome.get(key)) for key in times},
        planned=outcome.get("planned") or {},
    )


def _state(
    outcome: str, gates: Sequence[Mapping[str, Any]], slos: Sequence[Mapping[str, Any]]
) -> str:
    if outcome == "not_run":
        return NOT_RUN
    if outcome not in ("measured", GIVEN_UP):
        return FAILED
    failing = [row for row in gates if row.get("outcome") == "fail"]
    if any(row.get("invalidates", row.get("gate") != SATURATION_GATE) for row in failing):
        return INVALID
    if any(row.get("verdict") == "INVALID" for row in slos):
        return INVALID
    return SATURATED if any(row.get("gate") == SATURATION_GATE for row in failing) else VALID


def _verdict(slos: Sequence[Mapping[str, Any]]) -> str | None:
    given = {row.get("verdict") for row in slos}
    return next((verdict for verdict in VERDICTS if verdict in given), None)


def _log(lines: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(clean(line) for line in lines or ())


def _or(value: float, otherwise: float) -> float:
    return value if math.isfinite(value) else otherwise
