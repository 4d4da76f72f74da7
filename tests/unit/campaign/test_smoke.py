"""A smoke run keeps what has to work, and cuts down what takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.proofs import Proof, proofs
from escalade.campaign.run import CampaignRun, open_run
from escalade.campaign.smoke import reduced, smoke_name
from escalade.files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

CONTENT: dict[str, Any] = {
    "campaign": "long",
    "deployments": [{"name": name, "recipe": "truth_server"} for name in ("a", "b")],
    "repetitions": 5,
    "load": {
        "warmup_seconds": 60,
        "ladder": [{"target_qps": qps, "window_seconds": 600} for qps in (50, 100)],
    },
    "slos": [{"name": "fast", "metric": "latency_seconds", "limit": 1, "at_qps": 100}],
    "execution": {"parallel_cells": 3, "results": "elsewhere"},
}


def test_one_deployment_once_at_one_gentle_rate() -> None:
    small = reduced(parse_campaign(CONTENT, "my.yaml"))

    assert [deployment.name for deployment in small.deployments] == ["a"]
    assert small.repetitions == small.execution.parallel_cells == small.execution.attempts == 1
    assert [(step.target_qps, step.window_seconds) for step in small.load.ladder] == [(10, 5)]
    assert small.slos == ()
    assert small.execution.results == "elsewhere"


def test_load_steps_that_are_jobs_stay_jobs() -> None:
    job = {**CONTENT, "load": {**CONTENT["load"], "run_as": "job"}}

    assert reduced(parse_campaign(job, "my.yaml")).load.run_as == "job"


def test_in_a_shared_allocation_its_own_gpus_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESCALADE_RUN_ID", "r1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    execution = {"launcher": "slurm", "slurm": {"topology": "shared", "all": {"gpus": 2}}}
    shared = open_run({**CONTENT, "execution": execution, "smoke": True}, [])
    leave(shared)

    assert failing(shared) == []


def test_a_slow_service_gets_the_time_for_five_requests() -> None:
    slow = {
        **CONTENT,
        "load": {"ladder": [{"target_qps": 0.25, "window_seconds": 600}]},
        "slos": [],
    }

    (step,) = reduced(parse_campaign(slow, "my.yaml")).load.ladder

    assert (step.target_qps, step.window_seconds) == (0.25, 20)


@pytest.mark.parametrize("name", ["a", "x" * 64])
def test_its_name_is_its_own_and_not_too_long(name: str) -> None:
    assert smoke_name(name).endswith("-smoke")
    assert len(smoke_name(name)) <= 64


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignRun:
    """Open a smoke run on Slurm that has left what a good one leaves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESCALADE_RUN_ID", "r1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    execution = {"launcher": "slurm", "slurm": {"service": {"gpus": 2}}}
    opened = open_run({**CONTENT, "execution": execution, "smoke": True}, [])
    leave(opened)
    return opened


def leave(
    run: CampaignRun,
    *,
    outcome: str = "finished",
    gpus: tuple[str, ...] = ("0", "1"),
    status: int = 200,
    up: float = 1.0,
) -> None:
    cell = run.folder.cell(run.plan.cells[0].name)
    cell.path.mkdir(parents=True, exist_ok=True)
    cause = None if outcome == "finished" else "it died"
    write_json(cell.cell, {"outcome": outcome, "cause": cause})
    allocation = {"job": "7", "client_node": "n1", "service_nodes": ["n2"], "service_gpus": gpus}
    environment = {"allocation": allocation, "gpus": list(gpus), "gpu_note": ""}
    write_json(cell.environment, environment)
    pd.DataFrame({"status": [200, status]}).to_parquet(cell.requests)
    series = {"metric": ["up", "up", "x"], "labels": ["{1}", "{2}", "{2}"], "value": [1, up, 0]}
    pd.DataFrame(series).to_parquet(cell.series)


def failing(run: CampaignRun) -> list[Proof]:
    return [proof for proof in proofs(run) if not proof.holds]


def test_every_node_that_sends_is_named(run: CampaignRun) -> None:
    cell = run.folder.cell(run.plan.cells[0].name)
    environment = read_json(cell.environment, "environment")
    environment["allocation"]["client_nodes"] = [{"node": "n1"}, {"node": "n3"}]
    write_json(cell.environment, environment)

    told = {proof.what: proof.words for proof in proofs(run)}

    assert told["allocation"] == "job 7: load from n1, n3, service on n2"


def test_a_good_run_shows_everything(run: CampaignRun) -> None:
    told = {proof.what: proof.words for proof in proofs(run)}

    assert failing(run) == []
    assert told["allocation"] == "job 7: load from n1, service on n2"
    assert told["GPUs"] == "2 asked for, the service is given 2, the exporter sees 2"
    assert told["requests"] == "2 of 2 answered"
    assert told["scrape"] == "2 targets up"


@pytest.mark.parametrize(
    ("flaw", "what", "words"),
    [
        ({"outcome": "failed"}, "service", "it died"),
        ({"gpus": ("0",)}, "GPUs", "2 asked for, the service is given 1"),
        ({"status": 503}, "requests", "1 of 2 answered"),
        ({"up": 0.0}, "scrape", "not always up: {2}"),
    ],
)
def test_what_was_not_shown_is_told(
    run: CampaignRun, flaw: dict[str, Any], what: str, words: str
) -> None:
    leave(run, **flaw)

    (proof,) = failing(run)

    assert proof.what == what
    assert words in proof.words


def test_a_cell_without_an_end_shows_nothing(run: CampaignRun) -> None:
    run.folder.cell(run.plan.cells[0].name).cell.unlink()

    assert proofs(run) == [Proof("cell", "it did not reach its end", holds=False)]
