"""What the report is made from, and the look-ups that its parts share.

Nothing here computes a result: figures come from the KPI table and the
verdicts; only what a chart draws is read from requests and series.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import SCOPED
from escalade.analysis.kpis.steps import GIVEN_UP
from escalade.analysis.measured.levels import RATE
from escalade.report.axis import AXES, level
from escalade.report.words import bound, clean, counted, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.levels import Level
    from escalade.report.axis import Axis

SATURATED = "over-saturated"
INVALID = "invalid"
VALID = "valid"
FAILED = "failed"
SATURATION_GATE = "over_saturation"
NOT_RUN = "not run"

VERDICTS = ("FAIL", "INVALID", "INCONCLUSIVE", "PASS", "NOT_RUN")
"""From the one that a reader must see first to the one that can wait."""

MOST_DRAWN = 8
"""Cells that have figures of their own; more would make the page too large to open and to send."""

Name = tuple[str, str, str]
"""Metric, statistic, label."""


@dataclass(frozen=True)
class Estimate:
    """One number of the KPI table with what makes it readable; NaN when there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    n: float = math.nan
    quality: str = "missing: not in the KPI table"

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)

    @property
    def printable(self) -> bool:
        """Whether the number is one: that of an over-saturated step is a function of time."""
        return self.known and SATURATED not in self.quality

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval; a bound may be infinite."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def reason(self) -> str:
        """Why there is no number, or what is wrong with it; empty when all is well."""
        return "" if self.quality == "ok" else self.quality.removeprefix("missing: ")


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


@dataclass(frozen=True)
class CellFacts:
    """One cell with its steps; `number` is its place in the report, from 1."""

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

    @property
    def anchor(self) -> str:
        """Name of the place in the page that shows this cell's numbers."""
        return f"cell-{self.number}"


@dataclass(frozen=True)
class Partial:
    """How far a campaign is that is not over.

    Attributes
    ----------
    planned
        Number of its cells.
    measured
        Names of those that are over, in the order of the plan.
    left
        The others, each with what is known of it: "not yet", "under way".
    """

    planned: int
    measured: tuple[str, ...]
    left: dict[str, str]

    @property
    def words(self) -> str:
        """How far it is: "2 of 4 cells"."""
        return f"{len(self.measured)} of {counted(self.planned, 'cell')}"


@dataclass(frozen=True)
class StoredFile:
    """A file of the campaign that the page offers.

    Attributes
    ----------
    name
        Of the file.
    holds
        What is in it.
    beside
        The way from the page to its folder, as an address; empty where both are in one.
    size
        In bytes; None where the file is written after the page.
    sha256
        Of its content; empty where the file is written after the page.
    content
        What is in it, where it is small enough to be in the page.
    """

    name: str
    holds: str
    beside: str = ""
    size: int | None = None
    sha256: str = ""
    content: bytes | None = None


@dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes
    ----------
    campaign
        The resolved configuration.
    kpis
        The tidy table: one row per cell, step, metric and statistic.
    verdicts
        Gates, SLO verdicts and capacity, as in verdicts.json.
    cells
        What was measured, in the order of the plan; failed cells may be empty.
    provenance
        Versions, commit, host and command.
    stale
        Names of cells in the results folder that the configuration no longer has.
    components
        Component benchmarks, as in components.json; empty where there are none.
    problems
        What of the results could not be read, and what that leaves out, in sentences.
    partial
        How far the campaign is; None when it is over.
    files
        What the page offers for download.
    comparison
        The comparison with a baseline, as in comparison.json; empty where there is none.
    history
        Earlier campaigns beside this one, as `escalade history --format json` prints them; empty
        where none were asked for.
    chosen
        Keys of the configuration that differ from their defaults, as in `load/warmup_seconds`; None where
        that is not known.
    """

    campaign: dict[str, Any]
    kpis: pd.DataFrame
    verdicts: dict[str, Any]
    cells: list[CellData]
    provenance: dict[str, Any]
    stale: list[str] = field(default_factory=list)
    components: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    partial: Partial | None = None
    files: tuple[StoredFile, ...] = ()
    comparison: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    chosen: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return clean(self.campaign.get("campaign") or "unnamed campaign")

    @cached_property
    def facts(self) -> tuple[CellFacts, ...]:
        """The cells, each with the state of its steps."""
        return tuple(
            _cell_facts(number, cell, self) for number, cell in enumerate(self.cells, start=1)
        )

    @cached_property
    def deployments(self) -> dict[str, tuple[CellFacts, ...]]:
        """Cells by deployment, both in the order of the plan."""
        found: dict[str, list[CellFacts]] = {}
        for cell in self.facts:
            found.setdefault(cell.deployment, []).append(cell)
        return {name: tuple(cells) for name, cells in found.items()}

    @property
    def drawn(self) -> tuple[CellFacts, ...]:
        """The cells whose single requests and samples are drawn: of a large campaign the first ones.

        In a plan every deployment comes before its next repetition.
        """
        return self.facts[:MOST_DRAWN]

    @cached_property
    def repetitions(self) -> int:
        """Largest number of repetitions that any deployment has."""
        return max((len(cells) for cells in self.deployments.values()), default=0)

    @cached_property
    def estimates(self) -> dict[tuple[str, int], dict[Name, Estimate]]:
        """The KPI table by (cell, step), then by (metric, statistic, label).

        The label (a target, a GPU, a model, an SLO) is empty for a metric that
        has only one row per step.
        """
        rows = self.kpis.to_dict("records")
        places = [
            (*_place(row), str(row.get("metric", "")), str(row.get("stat", ""))) for row in rows
        ]
        counts = Counter(places)
        labelled = {(place[0], place[2]) for place in places if counts[place] > 1}
        table: dict[tuple[str, int], dict[Name, Estimate]] = defaultdict(dict)
        for row, (cell, step, metric, stat) in zip(rows, places, strict=True):
            told = (cell, metric) in labelled or metric in SCOPED
            label = _label(row) if told else ""
            table[cell, step][metric, stat, label] = Estimate(
                value=known(row.get("value")),
                low=bound(row.get("ci_low")),
                high=bound(row.get("ci_high")),
                unit=clean(row.get("unit") or ""),
                n=known(row.get("n")),
                quality=clean(row.get("quality") or "ok"),
            )
        return dict(table)

    def estimate(
        self, cell: str, step: int, metric: str, stat: str | None = None, label: str | None = None
    ) -> Estimate:
        """Look up one number; without `stat` or `label`, the first that the metric has.

        Never raises: what is absent comes back as an estimate without a value.
        A step that has no labels, since it did not run, answers for all of them.
        """
        there = self.estimates.get((cell, step), {})
        wanted = [None] if label is None else [label, ""]
        for which in wanted:
            for (name, its_stat, its_label), found in there.items():
                if name == metric and stat in (None, its_stat) and which in (None, its_label):
                    return found
        return Estimate()

    def scoped(self, cell: str, step: int, metric: str, stat: str, scope: str) -> Estimate:
        """Look up an energy figure of one scope; an estimate without a value when it is absent."""
        there = self.estimates.get((cell, step), {})
        mine = (
            found
            for (name, its_stat, label), found in there.items()
            if (name, its_stat) == (metric, stat) and label.startswith(f"{scope}, ")
        )
        return next(mine, Estimate())

    def arrival_rate(self, cell: str, step: StepFacts) -> float:
        """Give the rate at which requests were really sent, else the one asked for, in 1/s.

        For a load without a rate it is the place on the ladder.
        """
        if not self.axis.open:
            return step.place
        return _or(self.estimate(cell, step.number, "arrival_rate_qps").value, step.place)

    @cached_property
    def axis(self) -> Axis:
        """What the steps are told apart by; a ladder has rungs of one kind."""
        return next((AXES[s.level.name] for cell in self.facts for s in cell.steps), AXES[RATE])

    @cached_property
    def slos(self) -> list[dict[str, Any]]:
        """The SLO verdicts."""
        return _rows(self.verdicts, "slos")

    @cached_property
    def gates(self) -> list[dict[str, Any]]:
        """The gates' outcomes."""
        return _rows(self.verdicts, "gates")

    @cached_property
    def capacity(self) -> list[dict[str, Any]]:
        """The capacities."""
        return _rows(self.verdicts, "capacity")

    @cached_property
    def bounds(self) -> list[dict[str, Any]]:
        """The upper bounds; results of earlier releases have none."""
        return _rows(self.verdicts, "bounds")

    @cached_property
    def limits(self) -> list[dict[str, Any]]:
        """What verdicts under other limits would rest on; results of earlier releases have none."""
        return _rows(self.verdicts, "limits")

    @cached_property
    def runs(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Values over repetitions, by deployment and metric; results of earlier releases have none."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in _rows(self.verdicts, "runs"):
            found[clean(row.get("deployment")), clean(row.get("metric"))].append(row)
        return dict(found)

    @cached_property
    def front(self) -> list[dict[str, Any]]:
        """Throughput and latency of the steps of several deployments; earlier releases have none."""
        return _rows(self.verdicts, "front")

    def capacity_of(self, deployment: str) -> list[dict[str, Any]]:
        """Give the capacities of one deployment's cells, in the order of the plan."""
        return [row for row in self._of(deployment) if row.get("cell") is not None]

    def joint_capacity_of(self, deployment: str) -> dict[str, Any] | None:
        """Give the capacity over repetitions, where there are enough for one."""
        return next((row for row in self._of(deployment) if row.get("cell") is None), None)

    def _of(self, deployment: str) -> list[dict[str, Any]]:
        return [row for row in self.capacity if clean(row.get("deployment")) == deployment]

    @property
    def exploratory(self) -> bool:
        """Whether the windows were too short to confirm anything."""
        return bool(self.verdicts.get("exploratory", False))


def _place(row: Mapping[Any, Any]) -> tuple[str, int]:
    return clean(row.get("cell", "")), int(_or(known(row.get("step")), 0))


def _label(row: Mapping[Any, Any]) -> str:
    """Give what tells rows of a metric apart, from its source: "node, 127.0.0.1:9100"."""
    inner = str(row.get("source", "")).partition("{")[2].removesuffix("}")
    values = re.findall(r'="((?:[^"\\]|\\.)*)"', inner)
    return clean(", ".join(reversed(values)) or inner)


def _cell_facts(number: int, cell: CellData, data: ReportData) -> CellFacts:
    content = cell.cell
    name = clean(content.get("cell") or f"cell {number}")
    outcomes = sorted(
        cell.windows.get("steps") or [], key=lambda outcome: _or(known(outcome.get("step")), 0)
    )
    steps = tuple(_step_facts(name, outcome, data) for outcome in outcomes)
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
    )


def _step_facts(cell: str, outcome: Mapping[str, Any], data: ReportData) -> StepFacts:
    number = int(_or(known(outcome.get("step")), 0))
    ended = clean(outcome.get("outcome") or "not_run")
    times = ("started_at", "window_start", "window_end", "drained_at")
    return StepFacts(
        number=number,
        level=level(outcome),
        arrivals=clean(outcome.get("arrivals") or ""),
        outcome=ended,
        state=_state(cell, number, ended, data),
        verdict=_verdict(cell, number, data),
        cause=clean(outcome.get("cause") or ""),
        log_tail=_log(outcome.get("log_tail")),
        times={key: known(outcome.get(key)) for key in times},
        planned=outcome.get("planned") or {},
    )


def _state(cell: str, step: int, outcome: str, data: ReportData) -> str:
    if outcome == "not_run":
        return NOT_RUN
    if outcome not in ("measured", GIVEN_UP):
        return FAILED
    failing = [r for r in data.gates if _is_at(r, cell, step) and r.get("outcome") == "fail"]
    slos = [row for row in data.slos if _is_at(row, cell, step)]
    if any(row.get("invalidates", row.get("gate") != SATURATION_GATE) for row in failing):
        return INVALID
    if any(row.get("verdict") == "INVALID" for row in slos):
        return INVALID
    return SATURATED if any(row.get("gate") == SATURATION_GATE for row in failing) else VALID


def _verdict(cell: str, step: int, data: ReportData) -> str | None:
    given = {row.get("verdict") for row in data.slos if _is_at(row, cell, step)}
    return next((verdict for verdict in VERDICTS if verdict in given), None)


def _is_at(row: Mapping[str, Any], cell: str, step: int) -> bool:
    return clean(row.get("cell")) == cell and row.get("step") == step


def _rows(verdicts: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [row for row in verdicts.get(key) or [] if isinstance(row, dict)]


def _log(lines: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(clean(line) for line in lines or ())


def _or(value: float, otherwise: float) -> float:
    return value if math.isfinite(value) else otherwise
