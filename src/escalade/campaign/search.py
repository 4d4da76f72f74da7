"""The search for a capacity, as a user writes it, and what follows from it for the plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from escalade.analysis.kpis.catalogue import RATES
from escalade.analysis.verdicts.trial_size import trial_requests
from escalade.campaign.workload import Seconds
from escalade.load.search import Settings
from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.load import Load
    from escalade.campaign.models import Campaign
    from escalade.campaign.objectives import Slo

ALL = "all"
LOWEST_SHARE = 16.0
"""By default no rate below the start rate over this is tried."""
SEARCHABLE = ("poisson", "constant", "gamma")
"""Arrivals whose rate is one rate, which can be searched for."""
Rate = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class Budget(Section):
    """What a search may cost in each cell; it ends with what it has found by then."""

    seconds: Seconds = 1800.0
    """Warm-ups and windows together, in seconds."""
    trials: Annotated[int, Field(ge=2, le=200)] = 24
    """Number of trials, with the confirmation and the overload."""


class Search(Section):
    """Finds the highest rate at which objectives hold, instead of measuring a fixed ladder."""

    slo: str = ALL
    """Name of the objective that has to hold, or `all` of them."""
    start_qps: Rate = 1.0
    """Rate of the first trial. When it holds, the search climbs from there; when not, it descends."""
    factor: Annotated[float, Field(ge=1.1, le=10)] = 2.0
    """From one rate of the climb, or the descent, to the next."""
    lowest_qps: Rate | None = None
    """No lower rate is tried; a sixteenth of start_qps by default."""
    highest_qps: Rate | None = None
    """No higher rate is tried; by default the budget alone ends the climb."""
    window_seconds: Seconds = 30.0
    """Length of a trial's window, at least; longer where it would hold fewer than least_requests."""
    least_requests: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Requests of a trial's window, at least; by default what the objectives' statistics need
    (p50 24, p90 144, p95 288, p99 1,472)."""
    resolution: Annotated[float, Field(ge=0.005, le=0.5)] = 0.05
    """Relative width at which the bracket is narrow enough."""
    confirmation_seconds: Seconds = 600.0
    """Length of the window of the confirmation at the rate that was found, at least."""
    give_up: bool = True
    """Whether a trial ends early when twice as many requests missed an objective as may."""
    budget: Budget = Budget()
    """What it may cost in each cell."""

    @model_validator(mode="after")
    def _in_order(self) -> Search:
        if self.lowest_qps is not None and self.lowest_qps > self.start_qps:
            raise ValueError(
                f"lowest_qps {self.lowest_qps:g} is above start_qps {self.start_qps:g}"
            )
        if self.highest_qps is not None and self.highest_qps < self.start_qps:
            raise ValueError(
                f"highest_qps {self.highest_qps:g} is below start_qps {self.start_qps:g}"
            )
        return self


def searched_slos(campaign: Campaign) -> tuple[Slo, ...]:
    """Give the objectives that a campaign's search is for; none without a search."""
    search = campaign.load.search
    if search is None:
        return ()
    return tuple(slo for slo in campaign.slos if search.slo in (ALL, slo.name))


def check_search(load: Load, search: Search, slos: Sequence[Slo]) -> None:
    """Check a search against the objectives and the budget.

    Raises
    ------
    ValueError
        When there is no objective to search for, one names a rate of its own, the arrivals
        have no single rate, or the budget does not cover a trial and its confirmation.
    """
    names = [slo.name for slo in slos]
    if load.arrivals not in SEARCHABLE:
        raise ValueError(
            f"load.search looks for one rate, and arrivals is {load.arrivals}; write arrivals: "
            f"{', '.join(SEARCHABLE[:-1])} or {SEARCHABLE[-1]}, or give a ladder"
        )
    if not slos:
        raise ValueError("load.search looks for the rate up to which objectives hold; add slos")
    if search.slo not in (ALL, *names):
        raise ValueError(
            f"load.search.slo is {search.slo!r}, which is no objective; expected {ALL} or one of "
            f"{', '.join(names)}"
        )
    placed = [slo.name for slo in slos if slo.at_qps is not None]
    if placed:
        raise ValueError(
            f"slo {placed[0]!r} has at_qps, but a search has no fixed rates; leave at_qps out, or "
            "give a ladder"
        )
    wanted = [slo for slo in slos if search.slo in (ALL, slo.name)]
    rates = [slo for slo in wanted if slo.metric in RATES]
    if rates:
        raise ValueError(
            f"slo {rates[0].name!r} demands a rate of answers, which says nothing about the highest "
            "rate at which all is well; name another objective in load.search.slo"
        )
    settings = settings_of(load, search, wanted)
    first, last = (settings.ask(search.start_qps, kind) for kind in ("climb", "confirm"))
    if first.seconds + last.seconds > search.budget.seconds:
        raise ValueError(
            f"load.search.budget.seconds is {search.budget.seconds:g}, less than the first trial "
            f"({first.seconds:g} s at {search.start_qps:g} requests/s for {settings.least_requests} "
            f"requests or more) and a confirmation ({last.seconds:g} s) take; raise it, raise "
            "start_qps, or lower confirmation_seconds"
        )


def settings_of(load: Load, search: Search, slos: Sequence[Slo]) -> Settings:
    """Give the search as `escalade.load.search` takes it.

    Parameters
    ----------
    load, search
        As configured.
    slos
        Those that the search is for.
    """
    lowest = search.start_qps / LOWEST_SHARE if search.lowest_qps is None else search.lowest_qps
    return Settings(
        start_qps=search.start_qps,
        lowest_qps=lowest,
        highest_qps=math.inf if search.highest_qps is None else search.highest_qps,
        factor=search.factor,
        resolution=search.resolution,
        warmup_seconds=load.warmup_seconds,
        window_seconds=search.window_seconds,
        least_requests=search.least_requests or trial_requests(slos),  # type: ignore[arg-type]
        confirmation_seconds=search.confirmation_seconds,
        budget_seconds=search.budget.seconds,
        budget_trials=search.budget.trials,
    )
