"""Objectives against the steps of the ladder: verdict, value, interval, and why."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import WAITING
from escalade.report import words
from escalade.report.axis import level
from escalade.report.estimates import Estimate
from escalade.report.facts import SATURATED, VALID
from escalade.report.tables import (
    Entry,
    EstimateTable,
    Notes,
    Row,
    counted,
    printed,
    shortened,
)
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData
    from escalade.report.facts import StepFacts
    from escalade.report.marks import Marks

_GROWS = "grows with time"


def objective(row: Mapping[str, Any]) -> str:
    """Say in a few words what an SLO demands: "p90 of end-to-end latency ≤ 1.5 s", "Throughput ≥ 9 /s"."""
    limit = words.single(known(row.get("limit")), str(row.get("unit") or ""))
    return f"{subject(row)} {'≥' if row.get('at_least') else '≤'} {limit}"


def subject(row: Mapping[str, Any]) -> str:
    """Say what an SLO sets a limit to: "p90 of end-to-end latency", "Throughput"."""
    metric, stat = str(row.get("metric")), words.clean(row.get("stat"))
    name = words.title(metric)
    what = name if stat == "value" else f"{stat} of {name[:1].lower()}{name[1:]}"
    of = f" of {words.clean(row['workload'])}" if row.get("workload") else ""
    within = f" within {words.clean(row['of'])}" if row.get("of") else ""
    return f"{what}{of}{within}"


def slo_table(data: ReportData, marks: Marks | None = None) -> EstimateTable:
    """Set every SLO of every cell, and of all repetitions together, against the ladder's rates."""
    notes, rates, rows = Notes("slo"), _rates(data), []
    several = len(data.facts) > 1
    for slo, lines in _lines(data).items():
        demanded = objective(next(iter(next(iter(lines.values())).values())))
        if several:
            rows.append(Row(label="", entries=(Entry(),) * len(rates), group=slo, detail=demanded))
        for where, by_rate in lines.items():
            first = next(iter(by_rate.values()))
            entries = tuple(
                _warned(_judged(by_rate[rate], data, notes), by_rate[rate], data, marks)
                if rate in by_rate
                else _unjudged(first, rate, data)
                for rate in rates
            )
            label, group = (where, "") if several else (demanded, slo)
            rows.append(Row(label=label, entries=entries, group=group))
    return EstimateTable(tuple(words.rate(rate) for rate in rates), tuple(rows), notes)


def _warned(entry: Entry, row: Mapping[str, Any], data: ReportData, marks: Marks | None) -> Entry:
    """Give an entry with the numbers of the warnings and notes that it rests on."""
    if marks is None:
        return entry
    cells = data.deployments.get(words.clean(row.get("deployment")), ())
    return replace(entry, warnings=marks.of_verdict(row, (cell.name for cell in cells)))


def _rates(data: ReportData) -> list[float]:
    """List all rates of steps and objectives, ascending."""
    judged = {level(row).value for row in data.slos}
    measured = {step.place for cell in data.facts for step in cell.steps}
    return sorted(rate for rate in judged | measured if math.isfinite(rate))


def _lines(data: ReportData) -> dict[str, dict[str, dict[float, Mapping[str, Any]]]]:
    """Gather the verdicts by SLO, then by cell, then by rate, each in the order given."""
    found: dict[str, dict[str, dict[float, Mapping[str, Any]]]] = {}
    for row in data.slos:
        where = words.clean(row.get("cell") or f"{row.get('deployment')}, all repetitions")
        of_slo = found.setdefault(words.clean(row.get("slo")), {})
        of_slo.setdefault(where, {})[level(row).value] = row
    return found


def _judged(row: Mapping[str, Any], data: ReportData, notes: Notes) -> Entry:
    verdict = words.clean(row.get("verdict") or "NOT_RUN")
    reason = words.remaining_reason(row.get("reason")) or words.clean(row.get("reason") or "")
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    unit, n = words.clean(row.get("unit") or ""), known(row.get("n"))
    found = Estimate(known(row.get("value")), low, high, unit, n, quality="ok")
    value, interval = printed(found)
    step = _step_of(row, level(row).value, data)
    grows = step is not None and step.state == SATURATED and row.get("metric") in WAITING
    clear = verdict in {"PASS", "FAIL"} and (grows or value != NOTHING)
    return Entry(
        value=NOTHING if grows else value,
        interval="" if grows else interval,
        instead=_GROWS if grows else "",
        n=counted(found),
        note=0 if clear else notes.mark(words.sentence(reason)),
        verdict=verdict,
        counts=bool(row.get("counts")),
    )


def _unjudged(row: Mapping[str, Any], rate: float, data: ReportData) -> Entry:
    """Give the statistic of an SLO at a step where it is not judged."""
    step = _step_of(row, rate, data)
    if step is None:
        return Entry()
    metric, stat = str(row.get("metric")), str(row.get("stat"))
    label = ", ".join(words.clean(row[key]) for key in ("workload", "of") if row.get(key)) or None
    estimate = data.estimate(words.clean(row.get("cell")), step.number, metric, stat, label)
    if not estimate.printable:
        return Entry(
            value=NOTHING, instead=shortened(estimate) if step.state == VALID else step.state
        )
    value, interval = printed(estimate)
    return Entry(value=value, interval=interval, n=counted(estimate))


def _step_of(row: Mapping[str, Any], rate: float, data: ReportData) -> StepFacts | None:
    """Find the step of a verdict's cell that has this rate; all repetitions together have none."""
    name = words.clean(row.get("cell"))
    cell = next((cell for cell in data.facts if cell.name == name), None)
    return next((step for step in cell.steps if step.place == rate), None) if cell else None
