"""Calibrating the client of a cell: the step before its ladder, against a null server.

The truth server stands on the service's place for it, answers at once, and writes down how
long it took. A calibration that comes to nothing is said, and keeps no ladder from running:
each step's own gates judge the client too.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.gates.calibration import FACTOR, calibrated, not_calibrated
from escalade.campaign.results import slos_of
from escalade.campaign.state import read_allocation
from escalade.errors import EscaladeError
from escalade.files import read_table, write_json, write_table
from escalade.load.records import SCHEMA
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.step import run_step
from escalade.runtime.endpoints import free_port, wait_http
from escalade.runtime.launcher import launcher_for
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from escalade.campaign.run import CellRun
    from escalade.load.generator import Generator
    from escalade.load.plan import Part
    from escalade.load.step import LoadStep

STEP_NAME = "null-server"
CALIBRATED = ("openai_chat", "openai_completions", "openai_embeddings", "plain_http")
"""Workloads that the null server can answer; others are stood for by plain requests."""
_LEFT_OUT = ("abandon", "conversation")
"""Of a mix: what has the service or a user decide how many requests there are, and how far they go."""
_WARMUP_SECONDS = 0.5
_READY_SECONDS = 15.0
_DRAIN_SECONDS = 5.0
_NULL = ("--ttft-seconds", "0.002", "--itl-seconds", "0.001")
logger = logging.getLogger(__name__)


def calibrate(here: CellRun, generator: Generator, like: LoadStep) -> None:
    """Send the cell's workload to a null server for a few seconds; write calibration.json.

    Parameters
    ----------
    here
        The cell; with no `calibration_seconds` its client is left as it is.
    generator
        What will send the ladder's requests, from where it will.
    like
        The first step of the ladder.
    """
    seconds = here.cell.calibration_seconds
    if not seconds:
        return
    target = FACTOR * here.cell.top_qps
    kinds = sorted({part.workload for part in like.parts})
    if not set(kinds) <= set(CALIBRATED):
        kinds = ["plain_http"]
        like = replace(like, workload="plain_http", parameters={}, mix=())
    try:
        found = _measured(here, generator, like, target, seconds)
    except EscaladeError as error:
        logger.warning("the client was not calibrated: %s", error)
        found = not_calibrated(f"the calibration step could not be run: {error}")
    facts = {"schema": 1, "target_qps": target, "window_seconds": seconds}
    write_json(here.folder.calibration, facts | {"workload": ", ".join(kinds)} | found)


def _measured(
    here: CellRun,
    generator: Generator,
    like: LoadStep,
    target: float,
    seconds: float,
) -> dict[str, Any]:
    folder = here.folder.calibrating
    folder.mkdir(parents=True, exist_ok=True)
    schedule, truth = folder / "schedule.parquet", folder / "null-server.jsonl"
    write_table(schedule, draw_schedule([_plan(here, like, target, seconds)], here.cell.seed))
    with _null_server(here, truth) as (url, watch):
        step = replace(
            like,
            schedule=schedule,
            step=1,
            host=url,
            hosts=(),
            parameters=_parameters(like),
            folder=folder,
            drain_timeout_seconds=_DRAIN_SECONDS,
            log=here.folder.logs / "calibration.log",
            prompts=None,
            mix=tuple(
                replace(part, parameters=_parameters(part), prompts=None) for part in like.mix
            ),
            live=None,
        )
        outcome = run_step(step, generator, watch)
    requests = pd.concat(
        [read_table(each.requests_file, "request log", SCHEMA.names) for each in step.each()],
        ignore_index=True,
    )
    return calibrated(requests, outcome, _truth(truth), slos_of(here.run.plan.campaign))


def _plan(here: CellRun, like: LoadStep, target: float, seconds: float) -> StepPlan:
    """Give the calibration step: a Poisson process, of prompts and answers as long as the ladder's."""
    first = here.cell.steps[0]
    mix = [{key: of for key, of in part.items() if key not in _LEFT_OUT} for part in first.mix]
    return StepPlan(
        step=1,
        target_qps=target,
        warmup_seconds=_WARMUP_SECONDS,
        window_seconds=max(seconds, 2 / target),
        arrivals="poisson",
        input_tokens=first.input_tokens,
        output_tokens=first.output_tokens,
        mix=tuple(mix) if like.mix else (),
    )


def _parameters(part: LoadStep | Part) -> dict[str, Any]:
    """Give the workload's parameters, less what is the service's: its paths and its keys."""
    service_own = ("headers",) if part.workload == "plain_http" else ("headers", "path")
    return {name: value for name, value in part.parameters.items() if name not in service_own}


@contextmanager
def _null_server(here: CellRun, log: Path) -> Iterator[tuple[str, Callable[[], str | None]]]:
    """Run the truth server where the service runs; give its URL and what watches it."""
    allocation = read_allocation(here.state)
    launcher, place = launcher_for(allocation), allocation.service
    port = launcher.call(allocation, place, free_port, place.address)
    options = ("--host", place.address, "--port", str(port), "--log", str(log.resolve()))
    spec = StepSpec(
        name=STEP_NAME,
        argv=(sys.executable, "-m", "escalade.load.truth_server", *options, *_NULL),
        role="exporter",
        log=here.folder.logs / "null-server.log",
        cpus=place.cpus,
        on=place,
    )
    launcher.start(allocation, spec)

    def watch() -> str | None:
        state = launcher.state(allocation, STEP_NAME)
        return None if state.running else f"the null server {state.describe()}"

    try:
        url = f"http://{place.address}:{port}"
        wait_http(f"{url}/health", _READY_SECONDS, watch)
        yield url, watch
    finally:
        launcher.stop(allocation, STEP_NAME)


def _truth(log: Path) -> pd.DataFrame:
    """Read how long the null server took for each request, by its index in the step."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    told = [line for line in lines if line["id"] is not None]
    return pd.DataFrame(
        {
            "index": [int(line["id"].rpartition("-")[2]) for line in told],
            "seconds": [line["end"] - line["arrival"] for line in told],
        }
    ).astype({"index": "int64", "seconds": "float64"})
