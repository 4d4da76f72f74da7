"""The table of performance targets, as a user writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from escalade.analysis.compare.primary import CAPACITIES
from escalade.analysis.kpis.catalogue import BY_NAME, TRIMMED
from escalade.analysis.kpis.component_statistics import STATISTICS
from escalade.services.validation import Section, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.models import Campaign

Bound = Annotated[float, Field(allow_inf_nan=False)]


class Target(Section):
    """One line of the table of targets: a figure of a component, and the bound that it is to keep."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    """Name of the line in verdicts and report."""
    component: Annotated[str, Field(max_length=120)] = ""
    """What it is promised of, in your words; the deployment's name by default."""
    benchmark: str | None = None
    """Name of a component benchmark of this campaign whose number it is, in place of a KPI."""
    metric: str
    """A KPI of docs/metrics.md, or capacity_qps or slo_capacity_qps; of a benchmark the name of its number."""
    stat: str | None = None
    """Which statistic of it; needed where the KPI has several."""
    at_most: Bound | None = None
    """The figure must not be above this, in the metric's unit. Either this or `at_least`."""
    at_least: Bound | None = None
    """The figure must not be below this, in the metric's unit."""
    at_qps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The step of this rate is looked at."""
    step: Annotated[int, Field(ge=1)] | None = None
    """The step of this number is looked at; for loads without a rate."""
    deployment: str | None = None
    """Deployment that it is promised of; each by default."""
    workload: str | None = None
    """Name of a workload of a mix, whose requests alone it looks at; all of them by default."""

    @model_serializer(mode="wrap")
    def _as_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {name: value for name, value in content.items() if value not in (None, "")}

    @model_validator(mode="after")
    def _one_bound(self) -> Target:
        if (self.at_most is None) == (self.at_least is None):
            has = "neither" if self.at_most is None else "both"
            raise ValueError(
                f"a target has either at_most or at_least, and {self.name!r} has {has}"
            )
        return self

    @model_validator(mode="after")
    def _known_figure(self) -> Target:
        if self.benchmark is not None:
            self._check_benchmark()
            return self
        if self.metric == TRIMMED:
            raise ValueError(
                f"target {self.name!r} looks at {TRIMMED}, which leaves answers out and is never "
                "judged; take latency_seconds"
            )
        if self.metric not in (*BY_NAME, *CAPACITIES):
            raise ValueError(
                f"target {self.name!r} has metric {self.metric!r}, which is no KPI. "
                f"{nearest(self.metric, (*CAPACITIES, *BY_NAME))}"
            )
        stats = ("value",) if self.metric in CAPACITIES else BY_NAME[self.metric].stats
        if self.stat is None and len(stats) > 1:
            raise ValueError(
                f"target {self.name!r} needs a stat: {self.metric} has {', '.join(stats)}"
            )
        if self.stat not in (None, *stats):
            raise ValueError(
                f"target {self.name!r} has stat {self.stat!r}; {self.metric} has {', '.join(stats)}"
            )
        if self.of_cell and (self.at_qps is not None or self.step is not None):
            raise ValueError(
                f"target {self.name!r}: {self.metric} belongs to a whole cell; leave at_qps and step out"
            )
        if self.at_qps is not None and self.step is not None:
            raise ValueError(f"target {self.name!r} has at_qps and step; one of them will do")
        return self

    def _check_benchmark(self) -> None:
        stats = dict.fromkeys(stat for both in STATISTICS.values() for stat, _ in both)
        if self.stat not in stats:
            raise ValueError(
                f"target {self.name!r} looks at a benchmark with stat {self.stat!r}; expected one of "
                f"{', '.join(stats)}"
            )
        placed = ("at_qps", "step", "deployment", "workload")
        if given := [name for name in placed if getattr(self, name) is not None]:
            raise ValueError(
                f"target {self.name!r} looks at a benchmark, which has no {given[0]}; leave it out"
            )

    @property
    def of_cell(self) -> bool:
        """Whether the figure belongs to a cell, not to a step."""
        return self.benchmark is None and self._is_of_cell

    @property
    def _is_of_cell(self) -> bool:
        return self.metric in CAPACITIES or BY_NAME[self.metric].per_cell

    @property
    def statistic(self) -> str:
        """The statistic that is looked at."""
        if self.stat is not None:
            return self.stat
        return "value" if self.metric in CAPACITIES else BY_NAME[self.metric].stats[0]


def check_targets(campaign: Campaign) -> None:
    """Insist on targets whose place exists.

    Raises
    ------
    ValueError
        When one names a deployment, workload, rate or step that the campaign lacks, or none of
        several steps.
    """
    deployments = [deployment.name for deployment in campaign.deployments]
    parts = [part.name for part in campaign.workload.mix or ()]
    benchmarks = [component.name for component in campaign.components]
    for target in campaign.targets:
        _check_name("benchmark", target.benchmark, benchmarks, target.name)
        _check_name("deployment", target.deployment, deployments, target.name)
        _check_name("workload", target.workload, parts, target.name)
        if not target.of_cell and target.benchmark is None:
            _check_place(target, campaign)


def _check_name(what: str, name: str | None, names: Sequence[str], target: str) -> None:
    if name is not None and name not in names:
        none = "components has none" if what == "benchmark" else "there is no mix"
        there = ", ".join(names) or none
        raise ValueError(f"target {target!r} names the {what} {name!r}, which is none of: {there}")


def _check_place(target: Target, campaign: Campaign) -> None:
    rates = [step.target_qps for step in campaign.load.ladder if step.target_qps is not None]
    steps = len(campaign.load.ladder)
    if campaign.load.search is not None:
        raise ValueError(
            f"target {target.name!r} looks at {target.metric} of a step, and the steps of a search "
            f"are not known beforehand; name one of {', '.join(CAPACITIES)}, or give a ladder"
        )
    if target.at_qps is not None and target.at_qps not in rates:
        raise ValueError(
            f"target {target.name!r} has at_qps {target.at_qps:g}, which is no step of the ladder {rates}"
        )
    if target.step is not None and target.step > steps:
        raise ValueError(
            f"target {target.name!r} has step {target.step}, and the ladder has {steps}"
        )
    if target.at_qps is None and target.step is None and steps > 1:
        raise ValueError(
            f"target {target.name!r} says neither at_qps nor step, and the ladder has {steps} steps"
        )
