"""What the report is made from, and the look-ups that its parts share.

Nothing here computes a result: figures come from the KPI table and the
verdicts; only what a chart draws is read from requests and series.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from escalade.analysis.measured.levels import RATE
from escalade.report.axis import AXES
from escalade.report.estimates import Estimates
from escalade.report.facts import by_step, facts_of
from escalade.report.words import clean, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from escalade.analysis.measured.cell import CellData
    from escalade.report.axis import Axis
    from escalade.report.estimates import Estimate, Name
    from escalade.report.facts import CellFacts, StepFacts

MOST_DRAWN = 8
"""Cells that have figures of their own; more would make the page too large to open and to send."""


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
        gates, slos = by_step(self.gates), by_step(self.slos)
        return tuple(
            facts_of(number, cell, gates, slos) for number, cell in enumerate(self.cells, start=1)
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
    def _estimates(self) -> Estimates:
        return Estimates(self.kpis)

    @property
    def estimates(self) -> dict[tuple[str, int], dict[Name, Estimate]]:
        """The KPI table by (cell, step), then by (metric, statistic, label)."""
        return self._estimates.by_step

    def estimate(
        self, cell: str, step: int, metric: str, stat: str | None = None, label: str | None = None
    ) -> Estimate:
        """Look up one number; see `Estimates.of`."""
        return self._estimates.of(cell, step, metric, stat, label)

    def scoped(self, cell: str, step: int, metric: str, stat: str, scope: str) -> Estimate:
        """Look up an energy figure of one scope; an estimate without a value when it is absent."""
        return self._estimates.scoped(cell, step, metric, stat, scope)

    def arrival_rate(self, cell: str, step: StepFacts) -> float:
        """Give the rate at which requests were really sent, else the one asked for, in 1/s.

        For a load without a rate it is the place on the ladder.
        """
        if not self.axis.open:
            return step.place
        sent = self.estimate(cell, step.number, "arrival_rate_qps").value
        return sent if math.isfinite(sent) else step.place

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


def _rows(verdicts: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [row for row in verdicts.get(key) or [] if isinstance(row, dict)]
