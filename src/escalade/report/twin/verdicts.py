"""The parts of verdicts.json as report.json holds them: the keys that each row has, and others besides."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """A row of verdicts.json: the keys that every such row has, and others that it may have."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)


class Slo(Row):
    """The verdict on one objective, at one step of one cell or of all repetitions."""

    slo: str
    deployment: str
    cell: str | None
    """Null: all repetitions together."""
    metric: str
    stat: str
    limit: float | None
    value: float | None
    ci_low: float | None
    """Null beside a ci_high: not bounded below."""
    ci_high: float | None
    """Null beside a ci_low: not bounded above."""
    unit: str
    n: float | None
    verdict: str
    """PASS, FAIL, INCONCLUSIVE, INVALID or NOT_RUN."""
    counts: bool
    """Whether it counts for the outcome of the campaign."""
    reason: str


class Gate(Row):
    """The outcome of one check of the measurement."""

    cell: str
    step: int | None
    gate: str
    value: float | None
    limit: float | None
    unit: str
    outcome: str
    """pass, fail or unknown."""
    invalidates: bool
    detail: str


class Capacity(Row):
    """What a cell, or a deployment over its repetitions, holds."""

    deployment: str
    cell: str | None
    """Null: all repetitions together."""
    capacity_qps: float | None
    ci_low: float | None
    ci_high: float | None
    slo_capacity_qps: float | None
    """Estimated rate up to which the objectives hold, in 1/s."""
    slo_passed_qps: float | None
    """Highest step that every objective passes, below the first that fails one; null: none, or not recorded."""
    slo_failed_qps: float | None
    """Lowest step that fails an objective; null: none, or not recorded."""
    reason: str
    """How the capacity was found, or why there is none."""


class Finding(Row):
    """A finding: what was measured, what it means, why, and what to try next."""

    rule: str
    kind: str
    title: str
    measured: str
    means: str
    why: str
    next: list[str]


class OverRuns(Row):
    """A figure of a deployment at a step over its repetitions; each of them is in the KPI table."""

    deployment: str
    step: int
    metric: str
    stat: str
    label: str
    unit: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    """Repetitions with a value."""
    repetitions: int
    reason: str
    """Why there is no value; empty where there is one."""


class FrontPoint(Row):
    """A step of one of several deployments by throughput and latency: medians over its repetitions."""

    deployment: str
    step: int
    throughput_qps: float | None
    latency_seconds: float | None
    stat: str
    """Percentile that the latency is."""
    on_front: bool
    """Whether no other step has both more throughput and less latency."""


class Verdicts(BaseModel):
    """verdicts.json; sections that a campaign does not have are absent."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    slos: list[Slo]
    gates: list[Gate]
    capacity: list[Capacity]
    findings: list[Finding] | None
    """Null: results of an earlier release, in which none were looked for."""
    bounds: list[dict[str, Any]] | None
    """Upper bounds; null: none were computed."""
    runs: list[OverRuns] | None
    """Figures over repetitions; null: results of an earlier release."""
    front: list[FrontPoint] | None
    """Steps of several deployments; null: results of an earlier release."""
