"""Machines that the cells ran on, and what served them there."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.sections.identity import processor
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts
    from escalade.report.sections.identity import Facts

_REGISTRY, _DIGEST = "docker://", "@sha256:"


@dataclass(frozen=True)
class Machine:
    """Where cells ran and what served them; cells with the same environment share one."""

    cells: str
    facts: Facts
    models: Table


def machines(data: ReportData) -> list[Machine]:
    """Gather cells by what they ran on; those of one environment share a machine."""
    alike: dict[str, list[CellFacts]] = {}
    for cell in data.facts:
        if cell.environment:
            alike.setdefault(
                json.dumps(_comparable(cell.environment), sort_keys=True, default=str), []
            ).append(cell)
    return [
        Machine(
            cells=words.listed([cell.name for cell in cells]) if len(data.facts) > 1 else "",
            facts=_machine_facts(cells[0].environment),
            models=_models(cells[0].environment),
        )
        for cells in alike.values()
    ]


def _comparable(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what differs between cells that ran on the same machine and software."""
    service = dict(environment.get("service") or {})
    service.pop("ready_seconds", None)
    service.pop("argv", None)
    service.pop("prepared", None)
    if copies := service.get("replicas"):
        same = ("replica", "node", "cpus", "gpus")
        service["replicas"] = [{name: each.get(name) for name in same} for each in copies]
    for model in service.get("models") or []:
        service["models"] = [{**model, "measured_bytes": None} for model in service["models"]]
        break
    allocation = {**(environment.get("allocation") or {}), "job": None}
    return {**environment, "service": service, "allocation": allocation}


def _machine_facts(environment: Mapping[str, Any]) -> Facts:
    node = environment.get("node") or {}
    allocation = environment.get("allocation") or {}
    service = environment.get("service") or {}
    prometheus = environment.get("prometheus") or {}
    exporters = environment.get("exporters") or {}
    off = "none: monitoring is off" if environment.get("monitoring") == "off" else ""
    cores = {
        f"Cores of the {who}": ", ".join(str(core) for core in allocation.get(f"{who}_cpus") or [])
        for who in ("client", "service")
    }
    rows = {
        "Node": _nodes(node, allocation),
        "Processor": processor(node),
        "Memory": words.single(known(node.get("memory_bytes")), "bytes"),
        "System": " ".join(words.clean(node[key]) for key in ("os", "kernel") if node.get(key)),
        "GPU": _gpus(environment),
        **cores,
        "Service": _join(service.get("recipe"), service.get("version")),
        "Service ready after": words.single(known(service.get("ready_seconds")), "s"),
        "Service command": _command(service),
        **({"Copies of the service": _copies(service)} if service.get("replicas") else {}),
        "Prometheus": off or words.clean(prometheus.get("version") or ""),
        "Exporters": off
        or ", ".join(
            _join(name, (exporter or {}).get("version")) for name, exporter in exporters.items()
        ),
        "Agreement": _agreement(environment),
    }
    if not service.get("external_url"):
        rows["Image"] = _image(service)
    if prepared := service.get("prepared"):
        rows["Prepared before the load"] = ", ".join(
            f"{words.clean(name).replace('_', ' ')} {words.clean(value)}"
            for name, value in prepared.items()
        )
    return [
        (name, value if value and value != NOTHING else "not recorded")
        for name, value in rows.items()
    ]


def _copies(service: Mapping[str, Any]) -> str:
    """Say what each copy of the service got."""
    told = []
    for each in service.get("replicas") or []:
        gpus = [words.clean(gpu) for gpu in each.get("gpus") or []]
        parts = [f"cores {', '.join(str(cpu) for cpu in each.get('cpus') or [])}"]
        parts += [f"GPU {', '.join(gpus)}"] if gpus else []
        where = ", ".join(parts)
        told.append(
            f"{words.clean(each.get('replica'))} on {words.clean(each.get('node'))}: {where}"
        )
    return f"{len(told)}; {'; '.join(told)}"


def _image(service: Mapping[str, Any]) -> str:
    """Name what the service ran from, with its digest; "" where that is not recorded.

    Results of an earlier release name an image in the command at most.
    """
    if binary := service.get("binary"):
        program = _join(binary.get("path"), service.get("version"))
        return f"no image: runs from {program}, {_digest(binary)}"
    if image := service.get("image"):
        source = f"; built from {words.clean(image['source'])}" if image.get("source") else ""
        return f"{words.clean(image.get('reference'))}, {_digest(image)}{source}"
    argv = [words.clean(part) for part in service.get("argv") or []]
    found = next((part for part in argv if part.endswith(".sif") or _REGISTRY in part), "")
    return found if not found or _DIGEST in found else f"{found}, digest not recorded"


def _digest(recorded: Mapping[str, Any]) -> str:
    """Write the digest of an image or a program, or why there is none."""
    why = f" ({words.clean(recorded['why'])})" if recorded.get("why") else ""
    if recorded.get("sha256"):
        return f"SHA-256 {words.clean(recorded['sha256'])}{why}"
    if recorded.get("digest"):
        return f"digest {words.clean(recorded['digest'])}{why}"
    return f"digest not recorded{why}"


def _command(service: Mapping[str, Any]) -> str:
    """Give the command line; of a service that was there already, that nobody started it here."""
    if service.get("external_url"):
        return f"not started by Escalade: it was there at {words.clean(service['external_url'])}"
    return shlex.join(words.clean(part) for part in service.get("argv") or [])


def _nodes(node: Mapping[str, Any], allocation: Mapping[str, Any]) -> str:
    """Say which node did what; where there is but one, its name says it."""
    services = [words.clean(name) for name in allocation.get("service_nodes") or []]
    client = words.clean(allocation.get("client_node") or "")
    several = [words.clean(each.get("node")) for each in allocation.get("client_nodes") or []]
    if not several and (not client or client in services):
        return words.clean(node.get("hostname") or "")
    senders = (
        f"{', '.join(several)} for load, {client} for" if several else f"{client} for load and"
    )
    return f"{', '.join(services)} for the service, {senders} Prometheus"


def _gpus(environment: Mapping[str, Any]) -> str:
    gpus = environment.get("gpus") or []
    if not gpus:
        return words.clean(environment.get("gpu_note") or "no GPU")
    return ", ".join(_gpu(gpu) for gpu in gpus)


def _gpu(gpu: Mapping[str, Any]) -> str:
    """Name a GPU with what of it makes a difference."""
    parts = (
        words.clean(gpu.get("name") or "unnamed GPU"),
        words.single(known(gpu.get("memory_total_bytes")), "bytes"),
        f"limit {words.single(known(gpu.get('power_limit_watts')), 'W')}",
        f"driver {words.clean(gpu.get('driver_version') or NOTHING)}",
    )
    return " ".join(part for part in parts if NOTHING not in part)


def _agreement(environment: Mapping[str, Any]) -> str:
    agreement = environment.get("agreement")
    if not agreement:
        return "the recipe declares no quantity to compare"
    return (
        f"{words.clean(agreement.get('quantity'))} against {words.clean(agreement.get('metric'))}"
    )


def _models(environment: Mapping[str, Any]) -> Table:
    service = environment.get("service") or {}
    models = service.get("models") or []
    of = {"gpu": " (GPU)", "host": " (host)"}.get(
        str((service.get("memory") or {}).get("measured_of")), ""
    )
    rows = tuple(
        (
            words.clean(model.get("name") or NOTHING),
            words.single(known(model.get("declared_bytes")), "bytes"),
            words.single(known(model.get("measured_bytes")), "bytes"),
            words.clean(model.get("path") or NOTHING),
            words.clean(model.get("sha256") or "not recorded"),
        )
        for model in models
    )
    return Table(("Model", "Memory declared", f"Memory measured{of}", "File", "SHA-256"), rows)


def _join(*parts: object) -> str:
    return " ".join(words.clean(part) for part in parts if part)
