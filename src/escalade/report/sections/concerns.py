"""What a reader has to know before believing a number: the warnings of the report.

Each concern names the cell, the steps and the numbers it touches. Values that a
short window simply can't give ("needs n ≥ 368") are no warning: they say so
where the number would stand, and one note counts them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.gate import ADVICE, CLIENT
from escalade.analysis.kpis.catalogue import WAITING
from escalade.analysis.kpis.loop_kpis import AT_ONCE
from escalade.analysis.kpis.series_kpis import UNMONITORED
from escalade.report import words
from escalade.report.axis import AXES, amount
from escalade.report.facts import FAILED, NOT_RUN
from escalade.report.marks import WHOLE_CELL, Marks, Touched
from escalade.report.sections.bounds import exceeded
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.estimates import Name
    from escalade.report.facts import CellFacts, StepFacts

FAILURE = "failure"
WARNING = "warning"
NOTE = "note"

_CORE = (
    *("latency_seconds", "arrival_rate_qps", "throughput_qps", "error_ratio"),
    *("service_cpu_cores", "service_memory_bytes", "node_cpu_ratio", "scrape_coverage_ratio"),
)
"""Metrics that every campaign has: missing in all steps, they are no peculiarity of the service."""
_VERBS = {"missing": "missing", "flagged": "to be read with care", "not estimable": "can't be had"}


@dataclass(frozen=True)
class Concern:
    """One warning: how grave, where, what, and where in the page the number stands."""

    severity: str
    where: str
    text: str
    anchor: str = ""
    log_tail: tuple[str, ...] = ()
    touched: tuple[Touched, ...] = ()
    number: int = 0
    """Of one that touches numbers of the page: these carry it as a mark."""


def concerns(data: ReportData) -> list[Concern]:
    """List everything that limits what the figures can be used for, gravest first."""
    found = [*_campaign_concerns(data)]
    for cell in data.facts:
        found += _cell_concerns(cell)
        found += _gate_concerns(cell, data)
        found += _value_concerns(cell, data)
    order = {FAILURE: 0, WARNING: 1, NOTE: 2}
    found.sort(key=lambda concern: order[concern.severity])
    return list(_numbered(found))


def marks_of(found: Sequence[Concern]) -> Marks:
    """Give the numbers of warnings and notes by the figures that they touch."""
    return Marks(
        ((each.number, touched) for each in found for touched in each.touched), notes_of(found)
    )


def notes_of(found: Iterable[Concern]) -> frozenset[int]:
    """Give the numbers of notes, which are marked otherwise than warnings."""
    return frozenset(each.number for each in found if each.number and each.severity == NOTE)


def _numbered(found: Sequence[Concern]) -> Iterator[Concern]:
    """Give a number to each that touches figures, in the order of the list."""
    number = 0
    for each in found:
        number += bool(each.touched)
        yield replace(each, number=number) if each.touched else each


def _campaign_concerns(data: ReportData) -> Iterable[Concern]:
    for problem in data.problems:
        yield Concern(WARNING, "campaign", words.sentence(words.clean(problem)))
    if not data.cells:
        yield Concern(FAILURE, "campaign", "No cell was measured; there is nothing to judge.")
    elif data.kpis.empty:
        yield Concern(
            FAILURE,
            "campaign",
            "The KPI table is empty: every number below is missing for that reason.",
        )
    if not data.axis.open:
        waits = tuple(_of_all(cell, WAITING) for cell in data.facts if cell.steps)
        yield Concern(WARNING, "campaign", data.axis.method, touched=waits)
    if data.exploratory:
        judged = tuple(
            Touched(cell.name, tuple(step.number for step in cell.steps), of="verdicts")
            for cell in data.facts
            if cell.steps
        )
        yield Concern(NOTE, "campaign", _exploratory(data), touched=judged if data.slos else ())
    for row, sentence in exceeded(data):
        where = words.clean(row.get("cell") or row.get("deployment"))
        bound = Touched(where, (_number(row),), (words.clean(row.get("name")),), of="bounds")
        yield Concern(WARNING, where, sentence, "bounds", touched=(bound,))
    for name in data.stale:
        yield Concern(
            NOTE,
            words.clean(name),
            "Stale: this cell in the results folder was measured with another definition; "
            "it is left out here.",
        )


def _of_all(cell: CellFacts, metrics: tuple[str, ...]) -> Touched:
    return Touched(cell.name, tuple(step.number for step in cell.steps), metrics)


def _number(row: Mapping[str, Any]) -> int:
    """Give the step of a row; 0 for the whole cell."""
    step = known(row.get("step"))
    return int(step) if math.isfinite(step) else WHOLE_CELL


def _exploratory(data: ReportData) -> str:
    lengths = [
        step.times["window_end"] - step.times["window_start"]
        for cell in data.facts
        for step in cell.steps
    ]
    finite = sorted({round(length) for length in lengths if math.isfinite(length)})
    span = f"{finite[0]} to {finite[-1]}" if len(finite) > 1 else "".join(map(str, finite))
    windows = f" (windows of {span} s)" if finite else ""
    return (
        f"Exploratory: the windows are too short to confirm anything{windows}. "
        "A confirmation measures 600 s per step."
    )


def _cell_concerns(cell: CellFacts) -> Iterable[Concern]:
    if not cell.finished:
        yield Concern(
            FAILURE,
            cell.name,
            words.sentence(f"the cell failed: {cell.cause or 'no cause was recorded'}"),
            cell.anchor,
            cell.log_tail,
            (Touched(cell.name, (WHOLE_CELL,)),),
        )
    if not cell.steps:
        yield Concern(WARNING, cell.name, "No step was recorded for this cell.", cell.anchor)
    for step in cell.steps:
        if step.state == FAILED:
            yield Concern(
                FAILURE,
                cell.name,
                words.sentence(f"{_step(step)}: {_ending(step)}"),
                cell.anchor,
                step.log_tail if step.log_tail != cell.log_tail else (),
                (Touched(cell.name, (step.number,)),),
            )
    missed = [step for step in cell.steps if step.state == NOT_RUN]
    if missed:
        loads = words.listed([words.rate(step.place) for step in missed])
        unit = AXES[missed[0].level.name].unit
        numbers = words.steps([step.number for step in missed])
        yield Concern(
            WARNING,
            cell.name,
            words.sentence(f"{numbers} ({loads} {unit}) did not run: no numbers"),
            cell.anchor,
            touched=(Touched(cell.name, tuple(step.number for step in missed)),),
        )


def _ending(step: StepFacts) -> str:
    who = {
        "service_failed": "the service failed",
        "client_failed": "the load generator failed, so nothing is known about the service",
    }.get(step.outcome, step.outcome.replace("_", " "))
    return f"{who} ({step.cause})" if step.cause else who


def _gate_concerns(cell: CellFacts, data: ReportData) -> Iterable[Concern]:
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in data.gates:
        outcome, gate = str(row.get("outcome")), words.clean(row.get("gate"))
        # Why a step was not measured stands in the step's own concern.
        if outcome in ("fail", "unknown") and gate != "step_measured" and _is_of(row, cell):
            grouped.setdefault((outcome, gate), []).append(row)
    for (outcome, gate), rows in grouped.items():
        steps = [
            int(known(row.get("step"))) for row in rows if math.isfinite(known(row.get("step")))
        ]
        invalidates = any(row.get("invalidates", True) for row in rows)
        verb = "failed" if outcome == "fail" else "could not be judged"
        so = ", which makes it INVALID" if invalidates and outcome == "fail" else ""
        told = _gate_value(rows[0])
        if so and gate in CLIENT:
            so = f"{so} (client_limited)"
            told += f"; {ADVICE}"
        if len(rows) > 1:
            told += "; the table of gates has the others"
        text = f"gate {gate.replace('_', ' ')} {verb} in {_named(steps)}{so}: {told}"
        yield Concern(
            WARNING if invalidates else NOTE,
            cell.name,
            words.sentence(text),
            cell.anchor,
            touched=(Touched(cell.name, tuple(dict.fromkeys(steps)) or (WHOLE_CELL,)),),
        )


def _is_of(row: dict[str, Any], cell: CellFacts) -> bool:
    return words.clean(row.get("cell")) == cell.name


def _gate_value(row: dict[str, Any]) -> str:
    """Say what a gate found, in its own sentence or in numbers."""
    value, limit = known(row.get("value")), known(row.get("limit"))
    detail = words.clean(row.get("detail") or "").rstrip(".")
    if detail:
        return f"{detail} (step {row.get('step')})"
    if not math.isfinite(value):
        return "no value"
    scale = words.scale_for(words.clean(row.get("unit") or ""), (value, limit))
    text = words.single(value, "", scale)
    return (
        f"{text} where {words.single(limit, '', scale)} is the limit"
        if math.isfinite(limit)
        else text
    )


def _value_concerns(cell: CellFacts, data: ReportData) -> Iterable[Concern]:
    """Collect missing and flagged numbers: one concern per reason, one note for the floors."""
    floors = _Numbers()
    grouped: dict[tuple[str, str], _Numbers] = {}
    for step in (None, *cell.steps):
        if step is not None and not step.measured:
            continue
        number = step.number if step is not None else 0
        for (metric, stat, label), estimate in data.estimates.get((cell.name, number), {}).items():
            kind, _, reason = estimate.quality.partition(": ")
            if kind == "not estimable" and reason.startswith("needs"):
                floors.add(metric, stat, label, number)
            elif kind != "ok":
                for key in _reasons(kind, reason):
                    grouped.setdefault(key, _Numbers()).add(metric, stat, label, number)
    measured = {step.number for step in cell.steps if step.measured}
    for (kind, reason), numbers in grouped.items():
        partly = kind == "missing" and 0 < len(set(numbers.steps) & measured) < len(measured)
        text = f"{numbers.named()} in {_named(numbers.steps)} {_VERBS.get(kind, kind)}: {reason}"
        core = _is_core(numbers, kind) and reason not in (AT_ONCE, UNMONITORED)
        severity = WARNING if partly or core else NOTE
        touched = numbers.touched(cell)
        yield Concern(severity, cell.name, words.sentence(text), cell.anchor, touched=touched)
    if floors.steps:
        text = (
            f"{words.counted(len(floors.steps), 'percentile')} in the table would need more requests "
            "than the windows have; the table says how many"
        )
        touched = floors.touched(cell)
        yield Concern(NOTE, cell.name, words.sentence(text), cell.anchor, touched=touched)


@dataclass
class _Numbers:
    """Numbers of the KPI table that share a reason."""

    stats: dict[str, dict[str, None]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    names: dict[int, dict[Name, None]] = field(default_factory=dict)

    def add(self, metric: str, stat: str, label: str, step: int) -> None:
        """Remember one number."""
        name = " ".join(part for part in (stat if stat != "value" else "", label) if part)
        self.stats.setdefault(metric, {})[name] = None
        self.steps.append(step)
        self.names.setdefault(step, {})[metric, stat, label] = None

    def touched(self, cell: CellFacts) -> tuple[Touched, ...]:
        """Give what they are, steps with the same numbers together."""
        alike: dict[tuple[Name, ...], list[int]] = {}
        for step, names in self.names.items():
            alike.setdefault(tuple(names), []).append(step)
        return tuple(
            Touched(cell.name, tuple(steps), tuple(dict.fromkeys(n[0] for n in names)), names)
            for names, steps in alike.items()
        )

    def named(self) -> str:
        """Name them: "End-to-end latency (p50, p90) and Errors"."""
        parts = []
        for metric, names in self.stats.items():
            inner = ", ".join(name for name in names if name)
            parts.append(words.title(metric) + (f" ({inner})" if inner else ""))
        return words.listed(parts)


def _reasons(kind: str, reason: str) -> list[tuple[str, str]]:
    """Split the reasons of a flag; figures in them differ by step and stand in the table."""
    if kind != "flagged":
        return [(kind, reason or kind)]
    heads = [
        re.split(r"(?: of)?[:,]? [\d.]", part)[0].split(": ")[0] for part in reason.split("; ")
    ]
    return [(kind, head) for head in dict.fromkeys(heads)]


def _is_core(numbers: _Numbers, kind: str) -> bool:
    return kind == "missing" and any(metric in _CORE for metric in numbers.stats)


def _named(steps: list[int]) -> str:
    """Name steps; step 0 stands for the whole cell."""
    named = [step for step in steps if step]
    return words.steps(named) if named else "the whole cell"


def _step(step: StepFacts) -> str:
    return f"step {step.number} ({amount(step.level)})"
