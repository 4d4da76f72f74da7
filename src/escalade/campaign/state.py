"""The state files of a cell: where its allocation, Prometheus, exporters and service run, and that its load is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.files import read_json
from escalade.monitoring.prometheus_state import PrometheusState
from escalade.runtime.allocation import AllocationState
from escalade.services.replicas import called

if TYPE_CHECKING:
    from pathlib import Path

ALLOCATION = "allocation.json"
PROMETHEUS = "prometheus.json"
EXPORTERS = "exporters.json"
SERVICE = "service.json"
LADDER = "ladder.json"
UNMONITORED = {"monitoring": "off"}
"""In the state files of what a cell without monitoring does not start, and in its environment.json."""


def read_allocation(state: Path) -> AllocationState:
    """Read where the cell runs."""
    return AllocationState.from_json(read_json(state / ALLOCATION, "state of the allocation"))


def read_prometheus(state: Path) -> PrometheusState:
    """Read where the cell's Prometheus answers."""
    return PrometheusState.from_json(read_json(state / PROMETHEUS, "state of Prometheus"))


def read_exporters(state: Path) -> dict[str, Any]:
    """Read which exporters run, and what they found."""
    content: dict[str, Any] = read_json(state / EXPORTERS, "state of the exporters")
    return content


def read_service(state: Path) -> dict[str, Any]:
    """Read the service under test: its URL, or why it is not there."""
    content: dict[str, Any] = read_json(state / SERVICE, "state of the service")
    return content


def replicas_of(service: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the copies of a service that is ready, in order of their numbers, see `start_service`."""
    found: list[dict[str, Any]] = service["replicas"]
    return found


def words_of(replica: dict[str, Any], service: dict[str, Any]) -> str:
    """Name a copy of a service in a sentence."""
    return called(replica["number"], len(replicas_of(service)))
