"""What two measured deployments have in common: workload, hardware, and what changed between them.

Only another workload, or another model of GPU or CPU, makes them not comparable. Everything else
that differs (driver, image, kernel, versions, parameters, seed) is what a comparison is for, or may
be the cause of what it shows: it is listed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from escalade.analysis.measured.cell import CellData

_INSTRUMENT = frozenset(
    {
        *("ladder", "warmup_seconds", "drain_timeout_seconds", "cooldown_seconds"),
        *("calibration_seconds", "workers", "run_as", "scenario"),
    }
)
"""Parts of the load that say how it is measured, or which steps there are: steps are matched one by one."""
_DEFINED = ("deployment", "recipe", "resources", "monitoring")
_MACHINE = ("hostname", "kernel", "os", "cpus", "cpus_usable", "cpu_governor", "memory_bytes")
_GPU = ("driver_version", "memory_total_bytes", "power_limit_watts")
_SERVICE = ("version", "parameters", "image", "binary")
_SOFTWARE = ("software", "source")
_PACKAGES = "software.packages."
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Hardware:
    """What a service ran on: the model of its CPU, and the models of its GPUs."""

    cpus: frozenset[str]
    gpus: frozenset[str]

    @property
    def row(self) -> dict[str, list[str]]:
        """As comparison.json has it."""
        return {"cpu": sorted(self.cpus), "gpu": sorted(self.gpus)}


def workload_of(cell: CellData) -> dict[str, Any]:
    """Give what defines the load of a cell, apart from its steps: requests, arrivals, objectives of a search."""
    definition = cell.cell.get("definition") or {}
    load = definition.get("load") or {}
    return {
        "protocol": definition.get("protocol"),
        "workload": definition.get("workload"),
        "load": {key: value for key, value in load.items() if key not in _INSTRUMENT},
        **({"slos": definition["slos"]} if "slos" in definition else {}),
    }


def workload_hash(cells: Sequence[CellData]) -> str:
    """Give the first digits of the SHA-256 of a deployment's workload."""
    told = sorted({json.dumps(workload_of(cell), sort_keys=True) for cell in cells})
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:_HASH_DIGITS]


def hardware_of(cells: Sequence[CellData]) -> Hardware:
    """Give the models of CPU and GPU that the repetitions of a deployment ran on."""
    nodes = [cell.environment.get("node") or {} for cell in cells]
    gpus = [gpu for cell in cells for gpu in cell.environment.get("gpus") or []]
    return Hardware(
        frozenset(str(node["cpu_model"]) for node in nodes if node.get("cpu_model")),
        frozenset(str(gpu.get("name")) for gpu in gpus),
    )


def why_not(baseline: Sequence[CellData], candidate: Sequence[CellData]) -> list[str]:
    """Say why two deployments can't be compared; nothing when they can."""
    reasons = []
    if workload_hash(baseline) != workload_hash(candidate):
        keys = ", ".join(_differing(_workloads(baseline), _workloads(candidate)))
        reasons.append(f"another workload: {keys} differ{'s' * (',' not in keys)}")
    before, after = hardware_of(baseline), hardware_of(candidate)
    if before.gpus != after.gpus:
        reasons.append(f"another GPU: {_named(before.gpus)} against {_named(after.gpus)}")
    if before.cpus and after.cpus and before.cpus != after.cpus:
        reasons.append(f"another CPU: {_named(before.cpus)} against {_named(after.cpus)}")
    return reasons


def changes(
    baseline: tuple[Sequence[CellData], Mapping[str, Any]],
    candidate: tuple[Sequence[CellData], Mapping[str, Any]],
) -> list[dict[str, str]]:
    """List what differs between two deployments and may be the cause of what is seen.

    Parameters
    ----------
    baseline, candidate
        The cells of a deployment, and the provenance of its campaign.

    Returns
    -------
    list of dict
        `what`, `baseline` and `candidate`, in order of the alphabet, packages last; "–" where a
        side has no such thing.
    """
    before, after = _facts(*baseline), _facts(*candidate)
    return [
        {"what": name, "baseline": before.get(name, "–"), "candidate": after.get(name, "–")}
        for name in sorted(
            _differing(before, after), key=lambda name: (name.startswith(_PACKAGES), name)
        )
    ]


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def _workloads(cells: Sequence[CellData]) -> dict[str, str]:
    return _joined(dict(_flat("", workload_of(cell))) for cell in cells)


def _named(models: frozenset[str]) -> str:
    return " and ".join(sorted(models)) or "none"


def _facts(cells: Sequence[CellData], provenance: Mapping[str, Any]) -> dict[str, str]:
    own: dict[str, Any] = {part: provenance.get(part) or {} for part in _SOFTWARE}
    first = min(cells, key=lambda cell: cell.repetition)  # the seeds of the others follow from it
    own["seed"] = (first.cell.get("definition") or {}).get("seed")
    return _joined(dict(_of_cell(cell)) for cell in cells) | dict(_flat("", own))


def _joined(each: Iterator[dict[str, str]]) -> dict[str, str]:
    """Join the facts of repetitions: one word where they agree, else all."""
    found: dict[str, set[str]] = {}
    for facts in each:
        for name, value in facts.items():
            found.setdefault(name, set()).add(value)
    return {name: " | ".join(sorted(values)) for name, values in found.items()}


def _of_cell(cell: CellData) -> Iterator[tuple[str, str]]:
    definition = cell.cell.get("definition") or {}
    for part in _DEFINED:
        if part in definition:
            yield from _flat(part, definition[part])
    load = definition.get("load") or {}
    yield from _flat("load", {key: load[key] for key in _INSTRUMENT if key in load})
    environment = cell.environment
    node = environment.get("node") or {}
    yield from _flat("machine", {key: node.get(key) for key in _MACHINE})
    gpus = environment.get("gpus") or []
    for key in _GPU:
        yield f"gpu.{key}", " | ".join(sorted({str(gpu.get(key)) for gpu in gpus})) or "–"
    allocation = environment.get("allocation") or {}
    yield "gpu.number", str(len(allocation.get("service_gpus") or []))
    service = environment.get("service") or {}
    yield from _flat("service", {key: service[key] for key in _SERVICE if key in service})
    for model in service.get("models") or []:
        yield f"model.{model.get('name')}", str(model.get("sha256"))
    yield from _flat("prometheus", (environment.get("prometheus") or {}).get("version"))
    yield from _flat("exporter", environment.get("exporters") or {})


def _flat(name: str, content: Any) -> Iterator[tuple[str, str]]:
    """Give the leaves of nested mappings by their dotted names; lists stay whole."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(f"{name}.{key}" if name else str(key), value)
    else:
        yield name, content if isinstance(content, str) else json.dumps(content, sort_keys=True)
