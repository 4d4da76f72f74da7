"""What report.json holds. config/report.schema.json is generated from these models.

Numbers are those of kpis.parquet and verdicts.json, not rounded; NaN never appears: where a number
is null, the text beside it says why.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from escalade.report.twin.verdicts import Verdicts

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys leave it as it is."""


class Part(BaseModel):
    """A part whose keys are all listed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )


class Kpi(Part):
    """One row of the KPI table."""

    cell: str
    deployment: str
    repetition: int | None
    step: int
    """Number of the step; 0 stands for the whole cell."""
    target_qps: float | None
    """Rate asked for, in 1/s; null for a load without a rate and for the whole cell."""
    metric: str
    stat: str
    value: float | None
    unit: str
    ci_low: float | None
    ci_high: float | None
    ci_method: str
    n: float | None
    n_eff: float | None
    source: str
    quality: str
    """`ok`, or what is wrong with the value."""
    missing: str | None
    """Why there is no value; null where there is one."""
    no_interval: str | None
    """Why a bound is null; null where both are numbers."""


class Strip(Part):
    """One field of the strip under the title of the page."""

    verdict: str
    word: str
    text: str


class Grade(Part):
    """The data-quality grade, A to D."""

    grade: str
    words: str
    cells: list[str]
    """Of each cell: its grade, and what kept it from an A."""


class Touch(Part):
    """Figures that a concern is about."""

    cell: str
    """Of an upper bound over a whole deployment the deployment."""
    steps: list[int]
    """0 stands for the whole cell."""
    metrics: list[str]
    """Empty: all of these steps. Of upper bounds their names."""
    of: Literal["figures", "verdicts", "bounds"]


class Concern(Part):
    """What limits the use of some figures."""

    severity: Literal["failure", "warning", "note"]
    where: str
    text: str
    number: int | None
    """The mark that the figures carry on the page; null: it touches none that is shown."""
    touches: list[Touch]


class Section(Part):
    """The sentences of a section of the page."""

    anchor: str
    name: str
    sentences: list[str]


class Head(Part):
    """What the header of the page says."""

    name: str
    description: str
    facts: dict[str, str]
    """System, date, size and commit, as on the page."""
    measured_at: float | None
    """Begin of the first cell, in Unix s; null: not recorded."""


class Partial(Part):
    """How far a campaign was that was not over."""

    planned: int
    measured: list[str]
    left: dict[str, str]
    """Cells that are not measured, each with how far it is."""


class Point(Part):
    """A repetition of a step, as a chart against the load draws it."""

    cell: str
    repetition: int
    step: int
    load: float | None
    """Rate, number in flight or number of samples that the plan names."""
    rate_qps: float | None
    """Rate at which requests were sent, in 1/s; null for a load without a rate."""
    state: str
    """valid, invalid, over-saturated, failed or not run."""
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: float | None
    missing: str | None
    """Why there is no value, or what is wrong with it."""


class Middle(Part):
    """A place of the line through the points: medians over the repetitions of a step."""

    rate_qps: float | None
    value: float | None


class Band(Part):
    """A place of the band around a line: over repetitions, of an only run that of its own requests."""

    rate_qps: float | None
    ci_low: float | None
    """Null: not bounded below."""
    ci_high: float | None
    """Null: not bounded above."""


class Curve(Part):
    """A statistic of a deployment against the load: a point per repetition, their line and its band."""

    deployment: str
    metric: str
    stat: str
    unit: str
    points: list[Point]
    middle: list[Middle]
    band: list[Band]


class Distribution(Part):
    """How the times of one step are spread: shares of its requests, and the times they end within."""

    cell: str
    step: int
    metric: str
    requests: int
    without_answer: int
    shares: list[float]
    seconds: list[float]


class Timeline(Part):
    """One line over the time of a cell."""

    cell: str
    panel: str
    line: str
    unit: str
    seconds: list[float]
    """Since the first step of the cell began."""
    values: list[float | None]
    """Null: the line is broken here, since samples are missing or no step runs."""
    gaps: list[tuple[float, float]]
    """From the last sample before to the first one after, in s."""
    missing: str | None
    """Why there is no line."""


class Table(Part):
    """A table as the page prints it; the numbers behind it are in `kpis`, `verdicts` and `series`."""

    columns: list[str]
    rows: list[list[str]]


class Figure(Part):
    """A chart of the page: what it is called and says, and the table behind it; its points are in `series`."""

    key: str
    section: str
    title: str
    caption: str
    table: Table


class Explored(Part):
    """What decides on an objective at a step under any limit."""

    where: str
    """Deployment, and its repetition where there are several."""
    load: str
    qps: float | None
    """Rate asked for, in 1/s; null for a load without a rate."""
    told: str
    """Value, interval and n in words."""
    value: float | None
    low: float | None
    """Null beside a `high`: not bounded below."""
    high: float | None
    """Null beside a `low`: not bounded above."""
    given: str | None
    """Verdict at the objective's own limit; null where it is not judged."""
    fixed: str | None
    """Verdict under any limit; null: the interval decides."""
    reason: str | None
    no_pass: str | None
    """Why it can't be PASS."""
    no_fail: str | None
    """Why it can't be FAIL."""
    lacking: str | None
    """What is lacking where its interval is none, or has no end on the side that decides: requests mostly."""
    least_limit: float | None
    """Smallest limit that can be passed, in the metric's unit."""
    members: list[int]
    """Of all repetitions together: places of theirs in the list."""


class WhatIf(Part):
    """An objective whose limit a reader may move: no verdict, since a limit chosen afterwards proves nothing."""

    title: str
    limit: float
    """In the metric's unit, as `value`, `low` and `high` are."""
    unit: str
    """In which the page shows it."""
    factor: float
    """From the metric's unit to that one."""
    at_least: bool
    """Whether the limit is a lower one."""
    rate: bool
    """Whether steps that were sent less are not asked."""
    steps: list[Explored]


class AllSeries(Part):
    """The points behind the charts."""

    curves: list[Curve]
    distributions: list[Distribution]
    timelines: list[Timeline]


class Report(Part):
    """A campaign's report."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of this form."""
    escalade: str
    """Version that rendered it; empty where the results don't say."""
    campaign: Head
    partial: Partial | None
    """Null for the report of a whole campaign."""
    exploratory: bool
    """Whether the windows were too short to confirm anything."""
    strip: list[Strip]
    grade: Grade | None
    sections: list[Section]
    """In the order of the page."""
    concerns: list[Concern]
    verdicts: Verdicts
    kpis: list[Kpi]
    figures: list[Figure]
    tables: dict[str, Table]
    """The other tables of the page, by their place in it."""
    series: AllSeries
    what_if: list[WhatIf]
    components: dict[str, Any]
    """Component benchmarks, as components.json has them; empty without any."""
    comparison: dict[str, Any]
    """The comparison with a baseline, as comparison.json has it; empty without one."""
    history: dict[str, Any]
    """The trend over campaigns, as `escalade history --format json` prints it; empty where none was asked for."""
    provenance: dict[str, Any]
    configuration: dict[str, Any]
    """The resolved configuration."""


class Overview(Part):
    """One deployment of one campaign, in the table over several campaigns."""

    campaign: str
    folder: str
    deployment: str
    measured_at: float | None
    system: str
    source: str
    grade: str | None
    verdicts: dict[str, int]
    """How many objectives that count ended with which verdict."""
    repetitions: int
    capacity_qps: float | None
    ci_low: float | None
    ci_high: float | None
    capacity: str
    """In words."""
    slo: str
    """What the objective is that the next figures belong to; empty without one."""
    slo_value: float | None
    slo_ci_low: float | None
    slo_ci_high: float | None
    slo_unit: str
    slo_verdict: str


class Unread(Part):
    """A folder that could not be used."""

    folder: str
    why: str


class Several(Part):
    """Several campaigns side by side."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of this form."""
    remarks: list[str]
    """What keeps the campaigns from being compared at sight: other hardware, other workload."""
    rows: list[Overview]
    figures: list[Figure]
    """Charts of all campaigns together, with the tables behind them."""
    history: dict[str, Any]
    """What of them is one history, as `escalade history --format json` prints it; empty without one."""
    unread: list[Unread]
    reports: dict[str, Report]
    """The report of each campaign, by its folder."""


def schema_of_reports() -> dict[str, Any]:
    """Give the JSON schema of report.json, of one campaign and of several."""
    return TypeAdapter(Report | Several).json_schema(by_alias=True)
