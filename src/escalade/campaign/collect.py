"""Taking home what a cell measured, and stopping everything of it."""

from __future__ import annotations

import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from escalade.campaign import dcgm_series, events
from escalade.campaign.accounted import note_energy
from escalade.campaign.deploy import release_allocation
from escalade.campaign.measure import read_outcomes, steps_of
from escalade.campaign.profiling import take_profile
from escalade.campaign.state import (
    UNMONITORED,
    read_allocation,
    read_exporters,
    read_prometheus,
    read_service,
)
from escalade.files import write_json, write_table
from escalade.load.records import joined, write_steps
from escalade.monitoring import collector, manager
from escalade.monitoring.client import PrometheusClient
from escalade.provenance import host_facts
from escalade.runtime.launcher import launcher_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.campaign.run import CellRun
    from escalade.runtime.allocation import AllocationState


def query_windows(here: CellRun) -> None:
    """Write the raw samples, the windows and the request log of all steps.

    Without monitoring there are no samples, and no interval between them.

    Raises
    ------
    InfrastructureError
        When Prometheus does not answer.
    """
    outcomes = read_outcomes(here)
    write_table(here.folder.series, _series(here, outcomes))
    _write_requests(here)
    interval = here.run.plan.campaign.monitoring.scrape_interval_seconds
    windows = {
        "schema": 1,
        "cell": here.cell.name,
        "scrape_interval_seconds": interval if here.cell.monitored else None,
        **take_profile(here, outcomes),
        "steps": outcomes,
    }
    write_json(here.folder.windows, windows)


def archive_cell(here: CellRun) -> None:
    """Archive the Prometheus data where there are any, stop everything, and write cell.json last."""
    allocation = read_allocation(here.state)
    if here.cell.monitored:
        there = partial(launcher_for(allocation).call, allocation, allocation.client)
        manager.archive(read_prometheus(here.state), here.folder.archive, there)
    write_json(here.folder.environment, _environment(here))
    release_allocation(here.state, keep=_others_wait(here))
    shutil.rmtree(here.folder.prometheus, ignore_errors=True)
    stages = _stages(here)
    since = stages[0]["started_at"] if stages else None
    note_energy(here.folder.energy, allocation.job, since)
    write_json(here.folder.cell, _cell_outcome(here, allocation))


def _others_wait(here: CellRun) -> bool:
    """Tell whether there are cells of this run that have not begun."""
    return any(not here.run.cell_state(cell.name).exists() for cell in here.run.unfinished)


def _series(here: CellRun, outcomes: list[dict[str, Any]]) -> pd.DataFrame:
    if not here.cell.monitored:
        return collector.empty_series()
    client = PrometheusClient(read_prometheus(here.state).url)
    gpus = read_exporters(here.state)["gpus"]
    names = list(read_service(here.state).get("metric_names", {}).values())
    selectors = collector.selectors([*names, *(dcgm_series.NAMES if gpus else ())])
    frames = [
        dcgm_series.by_our_names(collector.window_series(client, outcome, selectors), gpus).assign(
            step=outcome["step"]
        )
        for outcome in outcomes
        if outcome["started_at"] is not None
    ]
    if not frames:
        return collector.empty_series()
    series = pd.concat(frames, ignore_index=True)
    return series.astype({"step": "int16"})[list(collector.SERIES_COLUMNS)]


def _write_requests(here: CellRun) -> None:
    """Join the logs of all steps, one step after the other: all of them may not fit in memory."""
    steps = [sorted(here.folder.step(step).glob("requests-*.parquet")) for step in steps_of(here)]
    names = {name for paths in steps for path in paths for name in pq.read_schema(path).names}
    tables = (_of_workers(paths) for paths in steps if paths)
    write_steps(here.folder.requests, tables, names)


def _of_workers(paths: Sequence[Path]) -> pa.Table:
    """Join what the workers of one step have sent, in the order of its schedule."""
    table = joined(pq.read_table(path) for path in paths)
    return table.sort_by("index") if len(paths) > 1 else table


def _environment(here: CellRun) -> dict[str, Any]:
    allocation = read_allocation(here.state)
    launcher = launcher_for(allocation)
    exporters = read_exporters(here.state)
    service = read_service(here.state)
    return {
        "schema": 1,
        "node": launcher.call(allocation, allocation.service, host_facts),
        "gpus": exporters["gpus"],
        "gpu_note": exporters["gpu_note"],
        "allocation": {
            "launcher": allocation.launcher,
            "job": allocation.job,
            "client_node": allocation.client.node,
            "service_nodes": [place.node for place in allocation.services],
            "client_cpus": list(allocation.client.cpus),
            "service_cpus": list(allocation.service.cpus),
            "service_gpus": list(allocation.service.gpus),
            **_further_clients(allocation),
        },
        **_monitoring(here),
        "exporters": exporters["versions"],
        "service": service.get("service"),
        "metric_names": service.get("metric_names", {}),
        "agreement": service.get("agreement"),
    }


def _monitoring(here: CellRun) -> dict[str, Any]:
    if not here.cell.monitored:
        return {**UNMONITORED, "prometheus": None}
    prometheus = read_prometheus(here.state)
    return {"prometheus": {"version": prometheus.version, "data": prometheus.data}}


def _further_clients(allocation: AllocationState) -> dict[str, Any]:
    """Give the nodes that send, each with its CPUs and what it is; nothing of a single one."""
    if len(allocation.clients) == 1:
        return {}
    call = partial(launcher_for(allocation).call, allocation)
    return {
        "client_nodes": [
            {"node": place.node, "cpus": list(place.cpus), "host": call(place, host_facts)}
            for place in allocation.clients
        ]
    }


def _cell_outcome(here: CellRun, allocation: AllocationState) -> dict[str, Any]:
    failure = _failure(here)
    stages = _stages(here)
    return {
        "schema": 1,
        "cell": here.cell.name,
        "deployment": here.cell.deployment.name,
        "repetition": here.cell.repetition,
        "definition_hash": here.cell.definition_hash,
        "definition": here.cell.definition,
        "outcome": "finished" if failure is None else "failed",
        "cause": None if failure is None else failure["cause"],
        "log_tail": [] if failure is None else failure["log_tail"],
        "attempt": here.folder.attempt(),
        "node": allocation.service.node,
        "started_at": stages[0]["started_at"] if stages else None,
        "ended_at": time.time(),
        "stages": stages,
    }


def _failure(here: CellRun) -> dict[str, Any] | None:
    service = read_service(here.state)
    if service["outcome"] != "ready":
        return service
    failed = [step for step in read_outcomes(here) if step["outcome"] == "service_failed"]
    return failed[0] if failed else None


def _stages(here: CellRun) -> list[dict[str, Any]]:
    """Give begin and end of every stage of this cell, for the account of overheads."""
    found: dict[str, dict[str, Any]] = {}
    for event in events.read(here.run.events)[0]:
        if event.cell != here.cell.name:
            continue
        if event.kind == "started":
            found[event.stage] = {"name": event.stage, "started_at": event.at, "ended_at": None}
        elif event.kind == "ended" and event.stage in found:
            found[event.stage]["ended_at"] = event.at
    return list(found.values())
