"""The standards that a campaign is held to, as a user writes them, and what the plan falls short of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from escalade.campaign.search import searched_slos, settings_of
from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.campaign.load import Step
    from escalade.campaign.models import Campaign


class Standards(Section):
    """What every step is held to; what falls short is flagged, or refused before anything starts."""

    least_requests: Annotated[int, Field(ge=1, le=50_000_000)] = 1000
    """Requests of each window, at least."""
    warmup_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] = 10.0
    """Length of each warm-up, at least."""
    when_short: Literal["flag", "refuse"] = "flag"
    """flag: the plan, the verdicts and the report say what falls short. refuse: such a plan is not begun."""
    trimmed: bool = False
    """Whether the mean latency without answers beyond three standard deviations is shown too, as other suites report
    it. It is a column that says so; no verdict uses it."""


@dataclass(frozen=True)
class Shortfall:
    """One step of the plan that does not keep a standard; `step` 0 stands for the trials of a search."""

    step: int
    standard: str
    words: str


def shortfalls(campaign: Campaign) -> list[Shortfall]:
    """Say which steps of the plan fall short of the campaign's standards, and what to change.

    What a closed loop sends is not known beforehand; its requests are counted afterwards.
    """
    standards = campaign.standards
    if standards is None:
        return []
    return [*_requests(campaign, standards), *_warmups(campaign, standards)]


def check_standards(campaign: Campaign) -> None:
    """Refuse a plan that falls short, where the standards say so.

    Raises
    ------
    ValueError
        With everything that falls short.
    """
    if campaign.standards is None or campaign.standards.when_short != "refuse":
        return
    if found := shortfalls(campaign):
        raise ValueError(
            f"standards.when_short is refuse, and the plan falls short: "
            f"{'; '.join(each.words for each in found)}. Lengthen what is too short, or write "
            "when_short: flag"
        )


def _requests(campaign: Campaign, standards: Standards) -> Iterator[Shortfall]:
    least = standards.least_requests
    search = campaign.load.search
    if search is not None:
        asked = settings_of(campaign.load, search, searched_slos(campaign)).least_requests
        if asked < least:
            yield Shortfall(
                0,
                "least_requests",
                f"windows of the search hold {asked} requests at least, of {least}: raise "
                f"load.search.least_requests to {least}",
            )
    for number, step in enumerate(campaign.load.ladder, start=1):
        planned = planned_requests(step)
        if planned is not None and planned < least:
            yield Shortfall(
                number,
                "least_requests",
                f"step {number} plans {planned} requests, of {least}{_longer(step, least)}",
            )


def planned_requests(step: Step) -> int | None:
    """Give the number of requests of a step's window; None in a closed loop."""
    if step.samples is not None:
        return step.samples
    return None if step.target_qps is None else round(step.target_qps * step.window_seconds)


def _longer(step: Step, least: int) -> str:
    if step.target_qps is None:
        return f": raise samples to {least}"
    return f": a window of {math.ceil(least / step.target_qps)} s holds them"


def _warmups(campaign: Campaign, standards: Standards) -> Iterator[Shortfall]:
    wanted, load = standards.warmup_seconds, campaign.load
    if load.search is not None and load.warmup_seconds < wanted:
        yield Shortfall(
            0,
            "warmup_seconds",
            f"the search warms up for {load.warmup_seconds:g} s, of {wanted:g}: raise load.warmup_seconds",
        )
    for number, step in enumerate(load.ladder, start=1):
        warmup = load.warmup_seconds if step.warmup_seconds is None else step.warmup_seconds
        if step.samples is None and warmup < wanted:
            yield Shortfall(
                number,
                "warmup_seconds",
                f"step {number} warms up for {warmup:g} s, of {wanted:g}: raise warmup_seconds",
            )
