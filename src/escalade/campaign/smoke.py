"""A campaign cut down to minutes: proves the whole chain before a long one is begun."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.campaign.design import ROUNDS
from escalade.campaign.load import Load, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.models import Campaign, Deployment

_SUFFIX = "-smoke"
_NAME_LENGTH = 64
_MOST_QPS = 10.0
_MOST_SAMPLES = 50
_LEAST_REQUESTS = 5
_LEAST_SECONDS = 5.0


def reduced(campaign: Campaign) -> Campaign:
    """Give the campaign's first deployment (that is monitored, if any) once, at its lowest load for some seconds.

    Launcher, site, components, recipe and models stay as they are: what is proved is
    that these work.
    """
    search, arrivals = campaign.load.search, campaign.load.arrivals
    first = (
        campaign.load.ladder[0]
        if search is None
        else Step(target_qps=search.start_qps, window_seconds=search.window_seconds)
    )
    rung = _rung(first)
    load = Load(
        arrivals="constant" if rung.target_qps is not None else arrivals,
        samples_per_query=campaign.load.samples_per_query,
        warmup_seconds=0.0 if rung.samples is not None else 1.0,
        drain_timeout_seconds=campaign.load.drain_timeout_seconds,
        ladder=(rung,),
        workers=campaign.load.workers,
        run_as=campaign.load.run_as,
    )
    return campaign.model_copy(
        update={
            "campaign": smoke_name(campaign.campaign),
            "description": f"Smoke run of {campaign.campaign}; its figures say nothing.",
            "deployments": (_proving(campaign.deployments),),
            "repetitions": 1,
            "design": ROUNDS,
            "pairs": None,
            "load": load,
            "slos": (),
            "components": (),
            "suite": None,
            "standards": None,
            "failure": None,
            "stability": None,
            "targets": (),
            "execution": campaign.execution.model_copy(update={"attempts": 1, "parallel_cells": 1}),
        }
    )


def _proving(deployments: Sequence[Deployment]) -> Deployment:
    """Choose what proves most of the chain: without monitoring half of it has nothing to do.

    A stressor is left out, for it has nothing to be compared with.
    """
    chosen = next((each for each in deployments if each.monitoring), deployments[0])
    return chosen.model_copy(update={"stress": None})


def _rung(lowest: Step) -> Step:
    if lowest.concurrency is not None:
        return Step(concurrency=lowest.concurrency, window_seconds=_LEAST_SECONDS)
    if lowest.samples is not None:
        samples = min(lowest.samples, _MOST_SAMPLES)
        return Step(samples=samples, window_seconds=lowest.window_seconds)
    rate = min(lowest.target_qps or _MOST_QPS, _MOST_QPS)
    seconds = max(_LEAST_SECONDS, math.ceil(_LEAST_REQUESTS / rate))
    return Step(target_qps=rate, window_seconds=seconds)


def smoke_name(campaign: str) -> str:
    """Name the smoke run of a campaign."""
    return campaign[: _NAME_LENGTH - len(_SUFFIX)] + _SUFFIX
