"""What ran: machines, models, software, configuration, and how to do it again."""

from __future__ import annotations

import datetime as dt
import json
import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

Facts = list[tuple[str, str]]

_CHECK = (
    "python3 -c 'import json\n"
    'for path, entry in json.load(open("MANIFEST.json"))["artifacts"].items():\n'
    '    print(entry["sha256"], path, sep="  ")\' | sha256sum --check --quiet'
)


_REGISTRY, _DIGEST = "docker://", "@sha256:"
_CHOSEN = "Marked and bold: not at its default."
_UNKNOWN = "What differs from the defaults is not known: this Escalade can't read the configuration by itself."

_TOLD = ("software", "source", "protocol", "seeds", "driver")
"""Parts of the provenance that are listed; the others have a place of their own."""


@dataclass(frozen=True)
class Machine:
    """Where cells ran and what served them; cells with the same environment share one."""

    cells: str
    facts: Facts
    models: Table


@dataclass(frozen=True)
class Origin:
    """Everything of the section "What ran"."""

    command: str
    reproduce: str
    verify: str
    cells: Table
    machines: list[Machine]
    software: Facts
    packages: Facts
    configuration: tuple[Line, ...]
    chosen: str


@dataclass(frozen=True)
class Line:
    """A line of the configuration, and whether it is not at its default."""

    text: str
    chosen: bool


def origin(data: ReportData) -> Origin:
    """Collect what is needed to judge, repeat and check the campaign."""
    software, packages = _software(data.provenance)
    return Origin(
        command=words.clean(data.provenance.get("command") or ""),
        reproduce="\n".join(words.clean(line) for line in data.provenance.get("reproduce") or []),
        verify=_verification(data.name),
        cells=_cells(data),
        machines=_machines(data),
        software=[*_seeds(data), *software],
        packages=packages,
        configuration=_configuration(data),
        chosen=_CHOSEN if data.chosen is not None else _UNKNOWN,
    )


def _configuration(data: ReportData) -> tuple[Line, ...]:
    """Write the configuration as YAML; a line is chosen where its key, or a key in its one line, is."""
    text = yaml.safe_dump(data.campaign, sort_keys=False, allow_unicode=True, width=100)
    marked = {
        line
        for path, line in _places(yaml.compose(text, Loader=yaml.SafeLoader), "")
        if path in (data.chosen or ())
    }
    return tuple(Line(line, number in marked) for number, line in enumerate(text.splitlines()))


def _places(node: yaml.Node | None, path: str) -> Iterable[tuple[str, int]]:
    """Give each key of a configuration by its path, with its line from 0."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}{key.value}"
            yield inner, key.start_mark.line
            yield from _places(value, f"{inner}/")
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield f"{path}{place}", value.start_mark.line
            yield from _places(value, f"{path}{place}/")


def identity(data: ReportData) -> Facts:
    """Give what the header says: system, date of the measurement, source."""
    nodes = [cell.environment.get("node") or {} for cell in data.facts]
    systems = dict.fromkeys(text for node in nodes if (text := _system(node)))
    starts = [known(cell.cell.get("started_at")) for cell in data.cells]
    began = min((start for start in starts if math.isfinite(start)), default=math.nan)
    deployments = len(data.deployments)
    size = (
        f"{words.counted(deployments, 'deployment')}, "
        f"{words.counted(data.repetitions, 'repetition')}"
    )
    return [
        ("System", words.listed(list(systems)) or "not recorded"),
        ("Measured", moment(began)),
        ("Campaign", size if deployments else "nothing measured"),
        ("Source", commit(data.provenance)),
    ]


def commit(provenance: Mapping[str, Any]) -> str:
    """Name the commit, and whether the sources differed from it."""
    given = provenance.get("source")
    source = given if isinstance(given, dict) else {}
    digits = source.get("commit")
    if not digits:
        return "commit not recorded"
    changed = " with uncommitted changes" if source.get("dirty") else ""
    return f"commit {words.clean(digits)[:12]}{changed}"


def moment(seconds: float) -> str:
    """Write Unix seconds as a date that needs no locale: "2026-11-22 02:31 UTC"."""
    if not math.isfinite(seconds):
        return "date not recorded"
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _system(node: Mapping[str, Any]) -> str:
    parts = [words.clean(node["cpu_model"])] if node.get("cpu_model") else []
    if node.get("cpus"):
        parts.append(words.counted(int(node["cpus"]), "core"))
    return ", ".join(parts)


def _verification(campaign: str) -> str:
    folder = shlex.quote(f"results/{campaign}")
    return f"escalade verify {folder}\n\n# or, with nothing of Escalade:\ncd {folder} && {_CHECK}"


def _cells(data: ReportData) -> Table:
    rows = []
    for cell, facts in zip(data.cells, data.facts, strict=True):
        start, end = known(cell.cell.get("started_at")), known(cell.cell.get("ended_at"))
        rows.append(
            (
                facts.name,
                words.clean(cell.cell.get("outcome") or "unknown"),
                words.clean(cell.cell.get("attempt") or NOTHING),
                words.clean(cell.cell.get("node") or NOTHING),
                words.clean((cell.environment.get("allocation") or {}).get("job") or NOTHING),
                moment(start),
                f"{end - start:.0f} s" if math.isfinite(end - start) else NOTHING,
                words.clean(cell.cell.get("definition_hash") or NOTHING)[:16],
            )
        )
    columns = (
        "Cell",
        "Outcome",
        "Attempt",
        "Node",
        "Job",
        "Started",
        "Took",
        "Definition (SHA-256)",
    )
    return Table(columns, tuple(rows))


def _machines(data: ReportData) -> list[Machine]:
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
        "Processor": _system(node),
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
    models = (environment.get("service") or {}).get("models") or []
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
    return Table(("Model", "Memory declared", "Memory measured", "File", "SHA-256"), rows)


def _seeds(data: ReportData) -> Facts:
    return [("Seed", words.clean(data.campaign.get("seed", "not recorded")))]


def _software(provenance: Mapping[str, Any]) -> tuple[Facts, Facts]:
    """Flatten the provenance; long lists of packages come apart."""
    packages: Facts = []
    rows: Facts = []
    for path, value in _flat(provenance):
        if "packages" in path[:-1]:
            packages.append((path[-1], value))
        elif path[0] in _TOLD:
            shown = path[1:] if len(path) > 1 and path[0] == "software" else path
            rows.append((_named(shown), value))
    return rows, packages


def _named(path: tuple[str, ...]) -> str:
    """Name a fact by its place; a cell's name stays as it is."""
    if path[0] == "seeds":
        return f"Seed of {' '.join(path[1:])}"
    return words.sentence(" ".join(path).replace("_", " ")).rstrip(".")


def _flat(content: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, (*path, words.clean(key)))
    elif isinstance(content, list):
        yield path, ", ".join(words.clean(value) for value in content) or "none"
    else:
        told = {None: "not recorded", True: "yes", False: "no"}
        yield (
            path,
            told[content] if content is None or isinstance(content, bool) else words.clean(content),
        )


def _join(*parts: object) -> str:
    return " ".join(words.clean(part) for part in parts if part)
