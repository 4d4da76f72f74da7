"""What a smoke run has shown, point by point, from what it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.campaign.cluster import components_of
from escalade.campaign.site import load_site
from escalade.files import read_json

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign
    from escalade.campaign.run import CampaignRun


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
        _scrape(series, monitored=run.plan.cells[0].monitored),
    ]


def _allocation(seen: dict[str, Any]) -> Proof:
    job = f"job {seen['job']}: " if seen["job"] else ""
    senders = [each["node"] for each in seen.get("client_nodes", ())] or [seen["client_node"]]
    words = f"{job}load from {', '.join(senders)}, service on {', '.join(seen['service_nodes'])}"
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
    *_, service = components_of(campaign, load_site(campaign.execution.site))
    asked = service.gpus
    words = f"{asked} asked for, the service is given {len(visible)}, {found}{note}"
    return Proof("GPUs", words, holds=len(visible) == asked)


def _requests(log: pd.DataFrame) -> Proof:
    answered = int((log["status"] == 200).sum())
    return Proof("requests", f"{answered} of {len(log)} answered", holds=answered == len(log) > 0)


def _scrape(series: pd.DataFrame, *, monitored: bool) -> Proof:
    if not monitored:
        return Proof("scrape", "nothing is scraped: every deployment says monitoring: off")
    up = series[series["metric"] == "up"]
    targets = up.groupby("labels")["value"].min()
    down = sorted(str(labels) for labels in targets.index[targets < 1])
    words = f"{len(targets)} targets" + (f", not always up: {'; '.join(down)}" if down else " up")
    return Proof("scrape", words, holds=len(targets) > 0 and not down)
