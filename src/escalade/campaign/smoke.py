"""A campaign cut down to minutes: proves the whole chain before a long one is begun."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.campaign.models import Campaign, Load, Step
from escalade.files import read_json

if TYPE_CHECKING:
    from escalade.campaign.run import CampaignRun

_SUFFIX = "-smoke"
_NAME_LENGTH = 64
_MOST_QPS = 10.0
_LEAST_REQUESTS = 5
_LEAST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Proof:
    """Something that a smoke run was to show.

    Parameters
    ----------
    what
        In a word or two.
    words
        What was seen.
    holds
        Whether it was shown.
    """

    what: str
    words: str
    holds: bool = True


def reduced(campaign: Campaign) -> Campaign:
    """Give the campaign's first deployment once, at its lowest rate for some seconds.

    Launcher, site, components, recipe and models stay as they are: what is proved is
    that these work.
    """
    rate = min(campaign.load.ladder[0].target_qps, _MOST_QPS)
    seconds = max(_LEAST_SECONDS, math.ceil(_LEAST_REQUESTS / rate))
    load = Load(
        arrivals="constant",
        warmup_seconds=1.0,
        drain_timeout_seconds=campaign.load.drain_timeout_seconds,
        ladder=(Step(target_qps=rate, window_seconds=seconds),),
    )
    return campaign.model_copy(
        update={
            "campaign": smoke_name(campaign.campaign),
            "description": f"Smoke run of {campaign.campaign}; its figures say nothing.",
            "deployments": campaign.deployments[:1],
            "repetitions": 1,
            "load": load,
            "slos": (),
            "execution": campaign.execution.model_copy(update={"attempts": 1, "parallel_cells": 1}),
        }
    )


def smoke_name(campaign: str) -> str:
    """Name the smoke run of a campaign."""
    return campaign[: _NAME_LENGTH - len(_SUFFIX)] + _SUFFIX


def proofs(run: CampaignRun) -> list[Proof]:
    """Say what a smoke run has shown, from what it left.

    Parameters
    ----------
    run
        The smoke run, which is over.
    """
    cell = run.folder.cell(run.plan.cells[0].name)
    if not cell.cell.exists():
        return [Proof("cell", "it did not reach its end", holds=False)]
    outcome = read_json(cell.cell, "outcome of a cell")
    environment = read_json(cell.environment, "environment")
    log = pd.read_parquet(cell.requests)
    series = pd.read_parquet(cell.series)
    return [
        _allocation(environment["allocation"]),
        _service(outcome),
        _gpus(run.plan.campaign, environment),
        _requests(log),
        _scrape(series),
    ]


def _allocation(seen: dict[str, Any]) -> Proof:
    job = f"job {seen['job']}: " if seen["job"] else ""
    words = f"{job}load from {seen['client_node']}, service on {', '.join(seen['service_nodes'])}"
    return Proof("allocation", words)


def _service(outcome: dict[str, Any]) -> Proof:
    finished = outcome["outcome"] == "finished"
    return Proof(
        "service", "ready, and there until the end" if finished else str(outcome["cause"]), finished
    )


def _gpus(campaign: Campaign, environment: dict[str, Any]) -> Proof:
    """Compare what the service's steps were given with what was asked for."""
    visible = environment["allocation"]["service_gpus"]
    found = f"the exporter sees {len(environment['gpus'])}"
    note = f" ({environment['gpu_note']})" if environment["gpu_note"] else ""
    if campaign.execution.launcher == "local":
        return Proof("GPUs", f"{found}{note}")
    asked = campaign.execution.slurm.service.gpus or 0
    words = f"{asked} asked for, the service is given {len(visible)}, {found}{note}"
    return Proof("GPUs", words, holds=len(visible) == asked)


def _requests(log: pd.DataFrame) -> Proof:
    answered = int((log["status"] == 200).sum())
    return Proof("requests", f"{answered} of {len(log)} answered", holds=answered == len(log) > 0)


def _scrape(series: pd.DataFrame) -> Proof:
    up = series[series["metric"] == "up"]
    targets = up.groupby("labels")["value"].min()
    down = sorted(str(labels) for labels in targets.index[targets < 1])
    words = f"{len(targets)} targets" + (f", not always up: {'; '.join(down)}" if down else " up")
    return Proof("scrape", words, holds=len(targets) > 0 and not down)
