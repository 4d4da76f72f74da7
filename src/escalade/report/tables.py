"""Tables as rows of text: what is printed, and why where nothing is."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import BY_NAME
from escalade.report import words
from escalade.report.axis import short
from escalade.report.facts import FAILED, NOT_RUN, SATURATED
from escalade.report.marks import Marks
from escalade.report.sections.cuts import shown_gates
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.estimates import Estimate, Name
    from escalade.report.facts import CellFacts, StepFacts

_RESULTS = (
    *("Throughput", "Latency", "Tokens", "Answers", "Concurrency"),
    *("Service", "Node", "GPU", "Energy"),
)
"""Sections of the catalogue that say what the service did; the others are about the instrument."""


@dataclass(frozen=True)
class Table:
    """Plain text in rows, as behind a chart; empty when there is nothing to show."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    warnings: tuple[tuple[int, ...], ...] = ()
    """Of each row the numbers of the warnings and notes that touch it; none where the table has no marks."""

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.rows)


@dataclass
class Notes:
    """Reasons under a table, each written once and numbered in the order of their use."""

    prefix: str
    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> int:
        """Give the number of the note with this text; 0 stands for no note."""
        if not reason:
            return 0
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason) + 1


@dataclass(frozen=True)
class Entry:
    """One field of a table of estimates."""

    value: str = ""
    interval: str = ""
    n: str = ""
    instead: str = ""
    note: int = 0
    verdict: str = ""
    counts: bool = False
    warnings: tuple[int, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of a table of estimates; `group` and `anchor` are set on the first line of a metric."""

    label: str
    entries: tuple[Entry, ...]
    group: str = ""
    detail: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class EstimateTable:
    """Estimates against steps, with notes for the fields that have none."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: Notes


def kpi_tables(
    cell: CellFacts, data: ReportData, marks: Marks | None = None
) -> tuple[EstimateTable, EstimateTable]:
    """Set the metrics of a cell against its steps; figures carry the numbers of their warnings.

    Returns
    -------
    tuple
        What the service did, and what the instrument says about itself. Lines
        without any figure are not in the tables but in their notes.
    """
    numbers = [step.number for step in cell.steps]
    measured = any(step.measured for step in cell.steps)
    names = _names(cell, numbers, data) if measured else []
    results = [name for name in names if _section(name[0]) in _RESULTS]
    others = [name for name in names if _section(name[0]) not in _RESULTS]
    first = Notes(f"kpi-{cell.number}")
    second = Notes(f"instrument-{cell.number}")
    columns = tuple(words.rate(step.place) for step in cell.steps)
    return (
        EstimateTable(columns, tuple(_marked(cell, results, data, first, marks)), first),
        EstimateTable(columns, tuple(_marked(cell, others, data, second, marks)), second),
    )


def _marked(
    cell: CellFacts, names: Sequence[Name], data: ReportData, notes: Notes, marks: Marks | None
) -> Iterable[Row]:
    """Give the rows with an anchor per metric, and with the warnings about single figures."""
    numbers = [step.number for step in cell.steps]
    marks = marks or Marks()
    for metric, rows in _kpi_rows(cell, names, numbers, data, notes):
        for name, row in rows:
            of = (metric, *name[1:]) if name else (metric,)
            touched = [marks.of_metric(cell.name, number, *of) for number in numbers]
            entries = tuple(
                replace(entry, warnings=found) if entry.value else entry
                for entry, found in zip(row.entries, touched, strict=True)
            )
            anchor = f"{cell.anchor}-{metric}" if row.group else ""
            yield replace(row, entries=entries, anchor=anchor)


def whole_cell_table(cell: CellFacts, data: ReportData, marks: Marks | None = None) -> Table:
    """List the figures that belong to the cell as a whole: start-up and models."""
    found = data.estimates.get((cell.name, 0), {})
    marks = marks or Marks()
    rows = [
        (
            words.title(metric) + (f" ({label})" if label else ""),
            words.single(estimate.value, estimate.unit),
            estimate.reason,
        )
        for (metric, _, label), estimate in found.items()
    ]
    touched = tuple(marks.of_metric(cell.name, 0, *name) for name in found)
    return Table(("Whole cell", "Value", "Remark"), tuple(rows), touched)


def _section(metric: str) -> str:
    return BY_NAME[metric].section if metric in BY_NAME else ""


def _names(cell: CellFacts, numbers: Sequence[int], data: ReportData) -> list[Name]:
    """List (metric, statistic, label) in the order of the KPI table, kept together by metric.

    A step that did not run has no labels; its rows add no line where others have some.
    """
    found: dict[str, dict[Name, None]] = {}
    beside: set[str] = set()  # metrics of the whole step and, in the same step, of its parts
    for number in numbers:
        names = data.estimates.get((cell.name, number), {})
        for name in names:
            found.setdefault(name[0], {})[name] = None
        labelled = {name[0] for name in names if name[2]}
        beside |= labelled & {name[0] for name in names if not name[2]}
    return [
        name
        for metric, names in found.items()
        for name in names
        if name[2] or metric in beside or not any(other[2] for other in names)
    ]


def _kpi_rows(
    cell: CellFacts,
    names: Iterable[Name],
    numbers: Sequence[int],
    data: ReportData,
    notes: Notes,
) -> Iterable[tuple[str, list[tuple[Name | None, Row]]]]:
    """Give the lines of each metric, each with what it is a line of; the first may be a heading."""
    kept = [name for name in names if not _is_absent(cell, name, numbers, data)]
    for metric, group in itertools.groupby(kept, key=lambda name: name[0]):
        lines = list(group)
        found = {
            name: [data.estimate(cell.name, number, *name) for number in numbers] for name in lines
        }
        every = [estimate for estimates in found.values() for estimate in estimates]
        unit = next((estimate.unit for estimate in every if estimate.unit), "")
        scale = words.scale_for(unit, [e.value for e in every if e.printable])
        title = words.title(metric)
        single = len(lines) == 1 and lines[0][1:] in (("value", ""), ("mean", ""), ("max", ""))
        rows: list[tuple[Name | None, Row]] = []
        if not single:
            sizes = tuple(Entry(n=counted(estimate)) for estimate in found[lines[0]])
            rows.append((None, Row(label="", entries=sizes, group=title, detail=scale.label)))
        for name in lines:
            entries = tuple(
                _kpi_entry(estimate, scale, notes, _unmeasured(cell, number, data), with_n=single)
                for estimate, number in zip(found[name], numbers, strict=True)
            )
            stat = "" if name[1] == "value" else name[1]
            label = ", ".join(part for part in (stat, name[2]) if part)
            detail = ", ".join(part for part in (stat, scale.label) if part)
            told = Row("", entries, title, detail) if single else Row(label or "value", entries)
            rows.append((name, told))
        yield metric, rows


def _is_absent(cell: CellFacts, name: Name, numbers: Sequence[int], data: ReportData) -> bool:
    found = [data.estimate(cell.name, number, *name) for number in numbers]
    return not any(estimate.known for estimate in found) and _same_reason(cell, found)


def _same_reason(cell: CellFacts, found: Sequence[Estimate]) -> bool:
    """Tell whether all steps that ran lack a figure for one and the same reason."""
    ran = {e.reason for e, step in zip(found, cell.steps, strict=True) if step.measured}
    return len(ran) == 1 and not next(iter(ran)).startswith("not estimable")


def absent_figures(
    cell: CellFacts, data: ReportData, marks: Marks | None = None
) -> list[tuple[str, tuple[int, ...]]]:
    """Say which metrics no step has, by reason, with the notes about that: "GPU utilisation: no GPU."."""
    numbers = [step.number for step in cell.steps]
    marks = marks or Marks()
    reasons: dict[str, dict[str, None]] = {}
    touched: dict[str, set[int]] = {}
    for name in _names(cell, numbers, data):
        if _is_absent(cell, name, numbers, data):
            found = [data.estimate(cell.name, number, *name) for number in numbers]
            reason = next(
                e.reason for e, step in zip(found, cell.steps, strict=True) if step.measured
            )
            reasons.setdefault(reason, {})[words.title(name[0])] = None
            for number in numbers:
                touched.setdefault(reason, set()).update(marks.of_metric(cell.name, number, *name))
    return [
        (f"{words.listed(list(titles))}: {reason}.", tuple(sorted(touched[reason])))
        for reason, titles in reasons.items()
    ]


def _kpi_entry(
    estimate: Estimate, scale: words.Scale, notes: Notes, unmeasured: str, *, with_n: bool
) -> Entry:
    if unmeasured and not estimate.known:
        return Entry(value=NOTHING, note=notes.mark(unmeasured))
    if SATURATED in estimate.quality:
        return Entry(value=NOTHING, instead="grows with time")
    n = counted(estimate) if with_n else ""
    if estimate.quality.startswith("not estimable: needs"):
        return Entry(value=NOTHING, instead=shortened(estimate), n=n)
    value, interval = printed(estimate, scale)
    told = (estimate.reason.removeprefix("flagged: "), estimate.no_interval)
    note = notes.mark(" ".join(words.sentence(each) for each in told if each))
    return Entry(value, interval or ("no interval" if told[1] else ""), n, note=note)


def counted(estimate: Estimate) -> str:
    """Write the number of observations; nothing when there were none."""
    return words.plain(estimate.n, 0) if estimate.n > 0 else ""


def _unmeasured(cell: CellFacts, number: int, data: ReportData) -> str:
    """Say why a whole step has no figures; empty when it has some."""
    step = next((step for step in cell.steps if step.number == number), None)
    if step is not None and step.state == NOT_RUN:
        return "The step did not run."
    if step is not None and step.state == FAILED:
        return words.sentence(f"the step failed: {step.cause or step.outcome.replace('_', ' ')}")
    return "" if (cell.name, number) in data.estimates else "The KPI table has no row of this step."


def shortened(estimate: Estimate) -> str:
    """Say in a few words why there is no figure, as in "needs n ≥ 36"."""
    return estimate.reason.removeprefix("not estimable: ")


def printed(estimate: Estimate, scale: words.Scale | None = None) -> tuple[str, str]:
    """Write value and interval; with a scale its unit stands elsewhere, without it the unit is added."""
    used = scale or words.scale_for(estimate.unit, (estimate.value,))
    value, interval = words.span(estimate.value, estimate.low, estimate.high, used)
    if SATURATED in estimate.quality:
        return NOTHING, ""
    if scale is None and value != NOTHING:
        value = words.with_unit(value, used.label)
    return value, interval


def gate_table(data: ReportData) -> Table:
    """List the gates of every step, of a large campaign those that did not pass."""
    rows = []
    for gate in shown_gates(data):
        value, limit = known(gate.get("value")), known(gate.get("limit"))
        scale = words.scale_for(words.clean(gate.get("unit") or ""), (value, limit))
        step = gate.get("step")
        rows.append(
            (
                words.clean(gate.get("cell")),
                "whole cell" if not step else str(step),
                words.clean(gate.get("gate")).replace("_", " "),
                words.single(value, "", scale),
                words.single(limit, "", scale),
                words.clean(gate.get("outcome")),
                words.clean(gate.get("detail") or ""),
            )
        )
    return Table(("Cell", "Step", "Gate", "Value", "Limit", "Outcome", "Detail"), tuple(rows))


def capacity_table(data: ReportData, marks: Marks | None = None) -> Table:
    """List what each cell holds, how that was found, and what it rests on."""
    columns = (
        *(
            "Deployment",
            "Cell",
            "Capacity",
            "Within objectives",
            "Highest step that passes",
            "Method",
        ),
        *("Saturated", "Collapses", "Steps used", "Remarks"),
    )
    rows, warnings = [], []
    marks = marks or Marks()
    for row in data.capacity:
        cells = data.deployments.get(words.clean(row.get("deployment") or ""), ())
        names = [cell.name for cell in cells] if row.get("cell") is None else [row["cell"]]
        warnings.append(marks.of_steps(map(words.clean, names)))
        low, high = known(row.get("ci_low")), known(row.get("ci_high"))
        held = words.amount(known(row.get("capacity_qps")), low, high, "requests/s")
        if held == NOTHING and math.isfinite(low):
            held = f"at least {words.single(low, 'requests/s')}"
        remarks = [
            words.clean(row[key]).rstrip(".") + "."
            for key in ("reason", "slo_reason")
            if row.get(key)
        ]
        rows.append(
            (
                words.clean(row.get("deployment") or ""),
                words.clean(row.get("cell") or "all repetitions"),
                held,
                words.amount(
                    known(row.get("slo_capacity_qps")),
                    *words.bounds(row.get("slo_ci_low"), row.get("slo_ci_high")),
                    "requests/s",
                ),
                _passed(row),
                words.clean(row.get("method") or NOTHING),
                "yes" if row.get("saturated") else "no",
                "yes" if row.get("collapse") else "no",
                ", ".join(str(step) for step in row.get("steps_used") or []) or NOTHING,
                " ".join(remarks),
            )
        )
    return Table(columns, tuple(rows), tuple(warnings))


def _passed(row: Mapping[str, Any]) -> str:
    """Write the highest step that passes all objectives: what of the rate within them a step confirms."""
    rate = words.rate(known(row.get("slo_passed_qps")))
    return rate if rate == NOTHING else f"{rate}{words.NO_BREAK}requests/s"


def step_label(step: StepFacts) -> str:
    """Name a step in a table: "3 (2.5/s)"."""
    return f"{step.number} ({short(step.level)})"
