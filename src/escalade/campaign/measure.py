"""Running one step of a cell's ladder."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from escalade.campaign.progress import LIVE
from escalade.campaign.state import read_allocation, read_service
from escalade.errors import InfrastructureError, InputError
from escalade.files import read_json, tail, write_json
from escalade.load.records import SCHEMA, write_requests
from escalade.load.step import Elsewhere, LoadStep, run_step
from escalade.monitoring import manager
from escalade.runtime.cores import available_cores, stay_on
from escalade.runtime.launcher import launcher_for
from escalade.runtime.slurm.jobs import parts
from escalade.runtime.slurm.own import own_job

if TYPE_CHECKING:
    from escalade.campaign.run import CellRun
    from escalade.load.schedule import StepPlan
    from escalade.runtime.launcher import AllocationState

WENT_WELL = ("measured", "client_failed")
"""Outcomes after which the service is still there for the next step."""


def run_load(here: CellRun, number: int) -> dict[str, Any]:
    """Run one step, or say why it is not run; give its outcome.

    Writes `outcome.json` and `requests-0.parquet` into the step's folder.

    Raises
    ------
    InfrastructureError
        When Prometheus or the allocation is lost: no result can be had.
    """
    service = read_service(here.state)
    plan = next(step for step in here.cell.steps if step.step == number)
    cause = _cause_not_to_run(here, number, service)
    if cause is not None:
        return _skip(here, plan, cause)
    allocation = read_allocation(here.state)
    if here.run.load_as_job:
        elsewhere, cpus = None, _cpus_of_own_job(allocation)
    else:
        elsewhere, cpus = _elsewhere(allocation, f"load-{number}"), allocation.client.cpus
    if elsewhere is None:
        stay_on(cpus)
    step = LoadStep(
        schedule=here.folder.schedule,
        step=number,
        repetition=here.cell.repetition,
        seed=here.cell.seed,
        workload=here.run.plan.campaign.workload.kind,
        host=service["url"],
        parameters=_parameters(here, service),
        folder=here.folder.step(number),
        scratch=here.state / "load",
        drain_timeout_seconds=here.cell.drain_timeout_seconds,
        request_timeout_seconds=here.run.plan.campaign.workload.request_timeout_seconds,
        cpus=cpus,
        log=here.folder.logs / f"load-{number}.log",
    )
    outcome = run_step(step, _Watch(here), here.state / LIVE, elsewhere)
    if outcome["outcome"] == "service_failed":
        outcome["log_tail"] = tail(here.folder.logs / "service.log")
        write_json(here.folder.step(number) / "outcome.json", outcome)
    return outcome


def _cpus_of_own_job(allocation: AllocationState) -> tuple[int, ...]:
    """Give the CPUs of the job that this step is.

    Raises
    ------
    InputError
        When it is none: Snakemake ran the rule itself.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or job in {own_job(), *parts(str(allocation.job))}:
        raise InputError(
            "load.run_as is job, but Snakemake ran this step on the driver's own node: the profile "
            "names no executor. Add `executor: slurm` to its config.yaml, or leave run_as out."
        )
    return available_cores()


def _elsewhere(allocation: AllocationState, name: str) -> Elsewhere | None:
    launcher = launcher_for(allocation)
    prefix = launcher.prefix(allocation, allocation.client, name)
    return Elsewhere(prefix, partial(launcher.terminate, allocation, name)) if prefix else None


class _Watch:
    """Tells twice a second whether the step can go on."""

    def __init__(self, here: CellRun) -> None:
        self._allocation = read_allocation(here.state)
        self._launcher = launcher_for(self._allocation)

    def __call__(self) -> str | None:
        """Give the service's end as a cause; the end of anything else is an error."""
        if not self._launcher.alive(self._allocation):
            raise InfrastructureError(
                "The allocation of this cell was lost in the middle of a step: "
                f"{self._launcher.end_of(self._allocation)}. Start the campaign again; finished "
                "cells are kept."
            )
        prometheus = self._launcher.state(self._allocation, manager.STEP_NAME)
        if not prometheus.running:
            raise InfrastructureError(
                f"Prometheus {prometheus.describe()} in the middle of a step. Its log is "
                f"{prometheus.log}. Start the campaign again; finished cells are kept."
            )
        service = self._launcher.state(self._allocation, "service")
        return None if service.running else f"the service {service.describe()}"


def _cause_not_to_run(here: CellRun, number: int, service: dict[str, Any]) -> str | None:
    if service["outcome"] != "ready":
        return str(service["cause"])
    if number == 1:
        return None
    before = read_json(here.folder.step(number - 1) / "outcome.json", "outcome of a step")
    if before["outcome"] in WENT_WELL:
        return None
    return f"step {before['step']} ended with {before['outcome']}: {before['cause']}"


def _skip(here: CellRun, plan: StepPlan, cause: str) -> dict[str, Any]:
    folder = here.folder.step(plan.step)
    never = dict.fromkeys(("started_at", "window_start", "window_end", "drained_at"))
    outcome: dict[str, Any] = {
        "schema": 1,
        "step": plan.step,
        "target_qps": plan.target_qps,
        "arrivals": plan.arrivals,
        "outcome": "not_run",
        "cause": cause,
        "log_tail": [],
        **never,
        "drained": False,
        "planned": {"warmup": plan.count("warmup"), "window": plan.count("window")},
        "client": {},
    }
    write_requests(folder / "requests-0.parquet", SCHEMA.empty_table())
    write_json(folder / "outcome.json", outcome)
    return outcome


def _parameters(here: CellRun, service: dict[str, Any]) -> dict[str, Any]:
    """Join the recipe's parameters for the workload with the campaign's own."""
    own = here.run.plan.campaign.workload.parameters
    return {**service.get("workload_parameters", {}), **own}


def read_outcomes(here: CellRun) -> list[dict[str, Any]]:
    """Read the outcomes of all steps, in order."""
    return [
        read_json(here.folder.step(step.step) / "outcome.json", "outcome of a step")
        for step in here.cell.steps
    ]
