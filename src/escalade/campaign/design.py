"""The order in which the cells of a campaign are measured, and why.

What follows each other in time is alike: a machine drifts, caches fill, neighbours come and go.
Rounds measure all deployments of a repetition before the next one. A paired design of two
deployments also turns the order round from pair to pair, ABBA BAAB, so that within four
repetitions a drift that grows evenly falls on both in equal parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from escalade.analysis.stats.pair_sizes import LEVEL, pairs_needed
from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.models import Campaign, Deployment
    from escalade.campaign.plan import Cell

ROUNDS, PAIRED = "rounds", "paired"
DEPLOYMENTS = 2
MOST_PRIMARY = 3
_SECOND_FIRST = (False, True, True, False)
"""Of four pairs: whether the second deployment begins. A B · B A · B A · A B."""


class PrimaryKpi(Section):
    """A KPI that decides a comparison: those that are not declared only describe."""

    metric: Literal[
        "latency_seconds",
        "ttft_seconds",
        "itl_seconds",
        "tpot_seconds",
        "throughput_qps",
        "output_tokens_per_second",
        "samples_per_second",
        "query_latency_seconds",
    ]
    """Name of the KPI, as in docs/metrics.md."""
    stat: Literal["p50", "p90", "p95", "p99", "mean", "value"] = "p90"
    """Which statistic of it; rates have only `value`."""

    @model_validator(mode="after")
    def _statistic_fits(self) -> PrimaryKpi:
        is_rate = not self.metric.endswith("_seconds")
        if is_rate != (self.stat == "value"):
            raise ValueError(
                f"{self.metric} has no statistic {self.stat!r}: rates go with `value`, times with "
                "p50, p90, p95, p99 or mean"
            )
        return self


class Pairs(Section):
    """With design: paired. What of the comparison decides."""

    primary: Annotated[tuple[PrimaryKpi, ...], Field(min_length=1, max_length=MOST_PRIMARY)] = (
        PrimaryKpi(metric="latency_seconds", stat="p90"),
    )
    """One to three KPIs that decide; each further one asks for stronger evidence of all. The rest is exploratory."""
    step: Annotated[int, Field(ge=1)] | None = None
    """Number of the ladder's step whose KPIs decide; the only one by default. Other steps are exploratory."""
    margin_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 5.0
    """A smaller change is shown, and called neither better nor worse."""
    counts: bool = False
    """Whether a primary KPI that got worse gives exit code 1, and an undecided one exit code 4."""

    @model_validator(mode="after")
    def _each_once(self) -> Pairs:
        names = [f"{kpi.metric} {kpi.stat}" for kpi in self.primary]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"primary names {', '.join(doubled)} twice; each KPI is tested once")
        return self


def check_paired(campaign: Campaign) -> None:
    """Insist that a paired design can be carried out and says which step decides.

    Raises
    ------
    ValueError
        In one sentence: what is there, what was expected, and what to write.
    """
    if campaign.design != PAIRED:
        if campaign.pairs is not None:
            raise ValueError("pairs is given, but design is not paired; write design: paired")
        return
    _check_cells(campaign)
    steps = len(campaign.load.ladder)
    if campaign.load.search is not None:
        raise ValueError(
            "design: paired compares two deployments at the same rates, and load.search gives each "
            "rates of its own; give a ladder"
        )
    step = None if campaign.pairs is None else campaign.pairs.step
    if step is None and steps > 1:
        raise ValueError(
            f"design: paired needs to know which of the {steps} steps decides, or one in twenty "
            "steps would show a change by chance; write pairs: {step: N}"
        )
    if step is not None and step > steps:
        raise ValueError(f"pairs.step is {step}, and the ladder has {steps} steps")


def _check_cells(campaign: Campaign) -> None:
    count = len(campaign.deployments)
    if count != DEPLOYMENTS:
        raise ValueError(
            f"design: paired compares two deployments with each other, and there are {count}; "
            "leave two, or leave design out"
        )
    if campaign.repetitions % 2:
        more, enough = campaign.repetitions + 1, _enough(campaign)
        advice = f"{more}" if more >= enough else f"{enough} or more, or {more} to explore"
        raise ValueError(
            "design: paired turns the order round from one repetition to the next, so it takes an "
            f"even number of them, and repetitions is {campaign.repetitions}: write {advice}"
        )
    execution = campaign.execution
    if execution.parallel_cells > 1:
        why = (
            "two cells at once on one machine disturb each other"
            if execution.launcher == "local"
            else "the two cells of a pair would be on different nodes"
        )
        raise ValueError(
            "design: paired measures one cell after the other, and execution.parallel_cells is "
            f"{execution.parallel_cells}: {why}; write 1"
        )
    each = execution.slurm.cells_per_allocation
    if execution.launcher == "slurm" and each != "auto" and each % 2:
        raise ValueError(
            f"execution.slurm.cells_per_allocation is {each}, which parts the cells of a pair, "
            "maybe to different nodes; write auto or an even number"
        )


def settings_of(campaign: Campaign) -> Pairs:
    """Give what decides a paired campaign, with the defaults where nothing is said."""
    return campaign.pairs or Pairs()


def ordered(campaign: Campaign) -> list[tuple[int, Deployment]]:
    """Give (repetition, deployment) in the order in which they are measured."""
    return [
        (repetition, deployment)
        for repetition in range(1, campaign.repetitions + 1)
        for deployment in _of_repetition(campaign, repetition)
    ]


def _of_repetition(campaign: Campaign, repetition: int) -> Sequence[Deployment]:
    turned = campaign.design == PAIRED and _SECOND_FIRST[(repetition - 1) % len(_SECOND_FIRST)]
    return campaign.deployments[::-1] if turned else campaign.deployments


def order_words(campaign: Campaign) -> str:
    """Say in which order a paired campaign is measured, why, and what its pairs can decide."""
    first, second = (deployment.name for deployment in campaign.deployments)
    letters = "".join("A" if each.name == first else "B" for _, each in ordered(campaign))
    fours = [letters[place : place + 4] for place in range(0, len(letters), 4)]
    pairs, enough = campaign.repetitions, _enough(campaign)
    primary = len(settings_of(campaign).primary)
    kpis = f"{primary} primary KPI{'s' * (primary > 1)}"
    can = (
        f"enough to decide {kpis} at {100 * LEVEL:g} %"
        if pairs >= enough
        else f"too few to decide anything: {kpis} take {enough}"
    )
    return (
        f"paired design, A is {first} and B is {second}: {' '.join(fours)}. The two of a pair follow "
        "each other with the same requests, and change places, so that a drift of the machine falls "
        f"on both alike.\n{pairs} pairs are {can}."
    )


def _enough(campaign: Campaign) -> int:
    needed = pairs_needed(len(settings_of(campaign).primary))
    return needed + needed % 2


def whole_pairs(cells: Sequence[Cell], count: int) -> int:
    """Count the first cells of a paired campaign that can be measured without parting a pair.

    Parameters
    ----------
    cells
        Those that are left, in the plan's order.
    count
        How many there is time for; a first pair that there is no time for is begun all the same.
    """
    parted = 0 < count < len(cells) and cells[count - 1].repetition == cells[count].repetition
    return count - 1 if parted and count > 1 else count
