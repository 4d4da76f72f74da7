"""Running the ladder of a cell."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign import events
from escalade.campaign.calibration import calibrate
from escalade.campaign.course import course_of
from escalade.campaign.killing import Killing
from escalade.campaign.progress import LIVE
from escalade.campaign.state import (
    LADDER,
    read_allocation,
    read_exporters,
    read_service,
    replicas_of,
    words_of,
)
from escalade.campaign.stressing import stressed
from escalade.errors import InfrastructureError, InputError
from escalade.files import read_json, tail, write_json
from escalade.load.generator import LoadGenerator
from escalade.load.nodes import ClientNode, NodesGenerator
from escalade.load.plan import LEAD_SECONDS, Part
from escalade.load.records import SCHEMA, write_requests
from escalade.load.step import LoadStep, run_step
from escalade.monitoring import manager
from escalade.runtime.cores import available_cores, stay_on
from escalade.runtime.launcher import launcher_for
from escalade.runtime.slurm.jobs import parts
from escalade.runtime.slurm.own import own_job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escalade.campaign.course import Planned
    from escalade.campaign.run import CellRun
    from escalade.campaign.workload import Request
    from escalade.load.generator import Generator
    from escalade.load.schedule import StepPlan
    from escalade.runtime.allocation import AllocationState

WENT_WELL = ("measured", "abandoned", "client_failed")
"""Outcomes after which the service is still there for the next step."""
_ON_THE_WAY_SECONDS = 1.0
"""From the drain of a step until its results are here, at most; more is another clock."""
_SETTLE_SECONDS = 2.0
"""From the end of a job's first step until all of it is seen to have ended: the load generator
that went first has not failed."""


def run_ladder(here: CellRun) -> None:
    """Run all steps of the cell, one right after the other: a ladder's, or those of a search.

    Writes `outcome.json` and `requests-*.parquet` into each step's folder, and the state
    file LADDER once there is an outcome of every step.

    Raises
    ------
    InfrastructureError
        When Prometheus or the allocation is lost: no result can be had.
    """
    service = read_service(here.state)
    outcomes: list[dict[str, Any]] = []
    course = course_of(here)
    ready = service["outcome"] == "ready"
    with _generator(here) as generator, ExitStack() as bystander:
        if ready and here.cell.calibration_seconds:
            events.append(here.run.events, here.cell.name, "calibrate", "started")
            calibrate(here, generator, _load_step(here, here.cell.steps[0], service))
            events.append(here.run.events, here.cell.name, "calibrate", "ended")
        beside = bystander.enter_context(stressed(here)) if ready else _nothing
        while (planned := course.next()) is not None:
            plan = planned.plan
            stage = f"run_load_{plan.step}"
            events.append(here.run.events, here.cell.name, stage, "started", planned.words)
            cause = _cause_not_to_run(service, outcomes)
            if cause is None and outcomes:
                _cool_down(here, outcomes[-1])
            outcome = _run(here, planned, service, generator, beside) if cause is None else None
            outcomes.append(outcome or _skip(here, plan, str(cause)))
            course.took(outcomes[-1])
            events.append(here.run.events, here.cell.name, stage, "ended")
    told = [{name: step[name] for name in ("step", "outcome", "cause")} for step in outcomes]
    write_json(here.state / LADDER, {"schema": 1, "steps": told})


def _cool_down(here: CellRun, before: dict[str, Any]) -> None:
    """Wait so long that the next step's epoch comes one cool-down after the drain of this one.

    The client says when that was, unless it was lost, and by its own node's clock: it is
    believed as far as its results may have been on their way.
    """
    drained = before["drained_at"]
    since = 0.0 if drained is None else min(max(0.0, time.time() - drained), _ON_THE_WAY_SECONDS)
    time.sleep(max(0.0, here.cell.cooldown_seconds - LEAD_SECONDS - since))


def _run(
    here: CellRun,
    planned: Planned,
    service: dict[str, Any],
    generator: Generator,
    beside: Callable[[], None],
) -> dict[str, Any]:
    step = replace(_load_step(here, planned.plan, service), bounds=planned.bounds)
    failure = here.run.plan.campaign.failure
    killing = None
    if failure is not None and failure.step == planned.plan.step:
        killing = Killing(here, step, planned.plan.warmup_seconds, failure)
    watch = _Watch(here, beside, killing)
    outcome = run_step(step, generator, watch, here.state / LIVE)
    if killing is not None:
        outcome["failure"] = killing.facts
        write_json(step.outcome_file, outcome)
    if outcome["outcome"] == "client_failed" and read_allocation(here.state).job:
        time.sleep(_SETTLE_SECONDS)
        _Watch(here)()
    if outcome["outcome"] == "service_failed":
        outcome["log_tail"] = tail(watch.log)
        write_json(step.outcome_file, outcome)
    return outcome


def _load_step(here: CellRun, plan: StepPlan, service: dict[str, Any]) -> LoadStep:
    parts = [_part(part, service) for part in here.run.plan.campaign.workload.parts]
    first = parts[0]
    return LoadStep(
        schedule=here.folder.schedule,
        step=plan.step,
        repetition=here.cell.repetition,
        seed=here.cell.seed,
        workload=first.workload,
        host=service["url"],
        hosts=_hosts(service),
        failover=here.cell.deployment.failover,
        parameters=first.parameters,
        folder=here.folder.step(plan.step),
        scratch=here.state / "load",
        drain_timeout_seconds=here.cell.drain_timeout_seconds,
        request_timeout_seconds=first.request_timeout_seconds,
        log=here.folder.logs / f"load-{plan.step}.log",
        live=Path(live) if (live := read_exporters(here.state).get("live")) else None,
        prompts=first.prompts,
        prefix=first.prefix,
        mix=tuple(parts) if len(parts) > 1 else (),
        workers=here.run.plan.campaign.load.workers,
    )


def _hosts(service: dict[str, Any]) -> tuple[str, ...]:
    """Give the addresses of several copies of the service; () of one."""
    urls = tuple(copy["url"] for copy in replicas_of(service))
    return urls if len(urls) > 1 else ()


def _generator(here: CellRun) -> LoadGenerator | NodesGenerator:
    """Give the load generator of this cell, on the client's places or in the job that this is."""
    allocation = read_allocation(here.state)
    log = here.folder.logs / "load.log"
    if here.run.load_as_job:
        cpus = _cpus_of_own_job(allocation)
        stay_on(cpus)
        return LoadGenerator(cpus, log)
    prefixes = [
        partial(launcher_for(allocation).prefix, allocation, place, "load")
        for place in allocation.clients
    ]
    if len(prefixes) > 1:
        return NodesGenerator(
            [
                ClientNode(place.node, place.cpus, log.with_stem(f"load.{place.node}"), prefix)
                for place, prefix in zip(allocation.clients, prefixes, strict=True)
            ]
        )
    (prefix,) = prefixes
    if not prefix():  # this stage is on the client's place
        stay_on(allocation.client.cpus)
    return LoadGenerator(allocation.client.cpus, log, prefix)


def _cpus_of_own_job(allocation: AllocationState) -> tuple[int, ...]:
    """Give the CPUs of the job that this stage is.

    Raises
    ------
    InputError
        When it is none: Snakemake ran the rule itself.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or job in {own_job(), *parts(str(allocation.job))}:
        raise InputError(
            "load.run_as is job, but Snakemake ran the load on the driver's own node: the profile "
            "names no executor. Add `executor: slurm` to its config.yaml, or leave run_as out."
        )
    return available_cores()


def _nothing() -> None:
    """Watch nothing beside the service."""


class _Watch:
    """Tells twice a second whether the step can go on."""

    def __init__(
        self,
        here: CellRun,
        beside: Callable[[], None] = _nothing,
        killing: Killing | None = None,
    ) -> None:
        self._beside = beside
        self._killing = killing
        self._allocation = read_allocation(here.state)
        self._launcher = launcher_for(self._allocation)
        self._service = read_service(here.state)
        self._monitored = here.cell.monitored
        self.log = here.folder.logs / "service.log"
        """Of the copy of the service that was seen to have ended."""

    def __call__(self) -> str | None:
        """Give the service's end as a cause; the end of anything else is an error."""
        if not self._launcher.alive(self._allocation):
            raise InfrastructureError(
                "The allocation of this cell was lost in the middle of a step: "
                f"{self._launcher.end_of(self._allocation)}. Start the campaign again; finished "
                "cells are kept."
            )
        if self._monitored:
            self._insist_on_prometheus()
        self._beside()
        if self._killing is not None:
            self._killing.look()
        return self._end_of_service()

    def _end_of_service(self) -> str | None:
        dead = None if self._killing is None else self._killing.dead_on_purpose
        for copy in replicas_of(self._service):
            if copy["step"] in (None, dead):  # not started here: its requests tell
                continue
            state = self._launcher.state(self._allocation, copy["step"])
            if not state.running:
                self.log = Path(copy["log"])
                return f"{words_of(copy, self._service)} {state.describe()}"
        return None

    def _insist_on_prometheus(self) -> None:
        prometheus = self._launcher.state(self._allocation, manager.STEP_NAME)
        if not prometheus.running:
            raise InfrastructureError(
                f"Prometheus {prometheus.describe()} in the middle of a step. Its log is "
                f"{prometheus.log}. Start the campaign again; finished cells are kept."
            )


def _cause_not_to_run(service: dict[str, Any], outcomes: Sequence[dict[str, Any]]) -> str | None:
    if service["outcome"] != "ready":
        return str(service["cause"])
    if not outcomes or outcomes[-1]["outcome"] in WENT_WELL:
        return None
    before = outcomes[-1]
    return f"step {before['step']} ended with {before['outcome']}: {before['cause']}"


def _skip(here: CellRun, plan: StepPlan, cause: str) -> dict[str, Any]:
    folder = here.folder.step(plan.step)
    never = dict.fromkeys(("started_at", "window_start", "window_end", "drained_at"))
    outcome: dict[str, Any] = {
        "schema": 1,
        "step": plan.step,
        **plan.facts,
        "outcome": "not_run",
        "cause": cause,
        "log_tail": [],
        **never,
        "drained": False,
        "planned": plan.planned(),
        "client": {},
    }
    write_requests(folder / "requests-0.parquet", SCHEMA.empty_table())
    write_json(folder / "outcome.json", outcome)
    return outcome


def _part(request: Request, service: dict[str, Any]) -> Part:
    """Give a workload as the load generator takes it, the recipe's parameters beneath its own."""
    return Part(
        name=getattr(request, "name", ""),
        workload=request.kind,
        parameters={**service.get("workload_parameters", {}), **request.parameters},
        request_timeout_seconds=request.request_timeout_seconds,
        prompts=Path(request.prompts) if request.prompts else None,
        prefix=request.shared_prefix.model_dump() if request.shared_prefix else {},
    )


def read_outcomes(here: CellRun) -> list[dict[str, Any]]:
    """Read the outcomes of all steps, in order."""
    return [
        read_json(here.folder.step(step) / "outcome.json", "outcome of a step")
        for step in steps_of(here)
    ]


def steps_of(here: CellRun) -> list[int]:
    """Give the numbers of the cell's steps: those of its ladder, or those that its search tried."""
    if here.cell.search is None:
        return [step.step for step in here.cell.steps]
    search = read_json(here.folder.search, "search of a cell")
    return [int(trial["step"]) for trial in search["trials"]]
