"""Campaigns on disk, as a run of the workflow leaves them, from cells that were made up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.results import write_resolved
from escalade.files import write_json, write_table
from escalade.load.records import SCHEMA, write_requests
from escalade.manifest import write_manifest
from unit.analysis.builders import Queue, ladder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from escalade.analysis.measured.cell import CellData

RATES = (3.0,)
WORKLOAD = {"kind": "openai_chat", "input_tokens": 10, "output_tokens": 8}
MACHINE = {
    "cpu_model": "AMD EPYC 7742",
    "cpus": 2,
    "kernel": "6.1.0",
    "os": "Debian GNU/Linux 12 (bookworm)",
}


def configuration(**changes: Any) -> dict[str, Any]:
    """Give the configuration of a small campaign, with some keys changed."""
    return {
        "campaign": "small",
        "deployments": [{"name": "demo", "recipe": "truth_server"}],
        "workload": WORKLOAD,
        "load": {"ladder": [{"target_qps": rate, "window_seconds": 20} for rate in RATES]},
        "slos": [{"name": "fast", "metric": "latency_seconds", "stat": "p90", "limit": 1.0}],
        **changes,
    }


def repeated(
    capacities: Sequence[float],
    *,
    definition: Mapping[str, Any] | None = None,
    machine: Mapping[str, Any] | None = None,
    seed: int = 1,
    **environment: Any,
) -> list[CellData]:
    """Give a repetition for each capacity of a service with one server, in requests per second.

    Each answer takes exactly 1 / capacity, and requests wait for each other.
    """
    cells = []
    for repetition, capacity in enumerate(capacities, start=1):
        cell = ladder(RATES, 20.0, Queue(capacity), seed=seed, repetition=repetition)
        facts = {
            "schema": 1,
            "service": {"recipe": "truth_server", "version": "1.0", "ready_seconds": 1.0},
            "node": {**MACHINE, **(machine or {})},
        }
        cells.append(
            replace(
                cell,
                cell={
                    **cell.cell,
                    "outcome": "finished",
                    "definition": {**defined(repetition), **(definition or {})},
                },
                environment={**cell.environment, **facts, **environment},
            )
        )
    return cells


def defined(repetition: int) -> dict[str, Any]:
    """Give what defines a cell of the small campaign."""
    steps = [{"target_qps": rate, "window_seconds": 20.0, "warmup_seconds": None} for rate in RATES]
    return {
        "protocol": 1,
        "workload": WORKLOAD,
        "load": {"arrivals": "poisson", "warmup_seconds": 5.0, "ladder": steps},
        "monitoring": {"scrape_interval_seconds": 1.0},
        "seed": repetition,
        "deployment": {"recipe": "truth_server", "models": [], "parameters": {}},
        "recipe": {"name": "truth_server"},
    }


def write_campaign(
    path: Path,
    cells: Sequence[CellData],
    content: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write a finished campaign: its configuration, provenance, cells and manifest."""
    folder = CampaignFolder(path)
    resolved = parse_campaign(content or configuration(), "small.yaml").model_dump(mode="json")
    write_resolved(folder, resolved)
    names = [cell.name for cell in cells]
    facts = {
        "schema": 1,
        "campaign": resolved["campaign"],
        "protocol": 1,
        "cells": names,
        "seeds": dict.fromkeys(names, 1),
        "software": {"escalade": "0.1.0", "python": "3.11.2", "packages": {"locust": "2.43.0"}},
        "source": {"commit": "0123abcd", "dirty": False},
        "driver": dict(MACHINE),
    }
    write_json(folder.provenance, {**facts, **(provenance or {})})
    for cell in cells:
        write_cell(folder, cell)
    write_manifest(path)
    return path


def write_cell(folder: CampaignFolder, cell: CellData) -> None:
    """Write what the analysis reads of one cell."""
    place = folder.cell(cell.name)
    known = [field for field in SCHEMA if field.name in cell.requests]
    log = pa.Table.from_pandas(cell.requests, schema=pa.schema(known), preserve_index=False)
    write_requests(place.requests, log)
    write_table(place.series, cell.series)
    write_json(place.windows, dict(cell.windows))
    write_json(place.environment, dict(cell.environment))
    write_json(place.cell, dict(cell.cell))
