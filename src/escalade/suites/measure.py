"""Measuring component benchmarks one after the other, and keeping what they gave."""

from __future__ import annotations

import functools
import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.errors import InfrastructureError, InputError
from escalade.files import write_json, write_table
from escalade.gpu import nvml
from escalade.provenance import host_facts, software_facts
from escalade.suites import stored
from escalade.suites.components import metrics_of
from escalade.suites.runner import NotAvailableError, run_repetition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from escalade.suites.components import Component, Metric
    from escalade.suites.runner import Repetition
    from escalade.suites.stored import ComponentsFolder

BUSY_SHARE = 0.5
"""Processes that want a CPU, per CPU, above which a machine was busy before the measurement."""
_SAME_MACHINE = ("hostname", "cpu_model", "cpus_usable", "memory_bytes")


def measure_components(
    components: Iterable[Component],
    folder: ComponentsFolder,
    *,
    again: bool = False,
    elsewhere: bool = False,
    hindrance: str = "",
    tell: Callable[[Component, int, int, float], None] | None = None,
) -> list[dict[str, Any]]:
    """Measure what is not measured yet; give the outcome of every component, in their order.

    Parameters
    ----------
    components
        What to measure, one after the other.
    folder
        Where results go.
    again
        Measure also what is there already.
    elsewhere
        Keep what is there even when another machine measured it.
    hindrance
        Why this is no place to measure: what is not there is then not available.
    tell
        Is told of the component, repetition, iterations counted and seconds.

    Notes
    -----
    What went wrong with one is its outcome; the others are measured all the same. A measured one
    is kept where its definition and the machine are the same.
    """
    host, software = host_facts(), _software()
    gpus, gpu_note = nvml.gpus()
    machine = {"host": host, "gpus": gpus, "gpu_note": gpu_note}
    found = []
    for component in components:
        known = None if again else _kept(component, folder, None if elsewhere else host)
        if known is None:
            known = _measure(component, folder, tell, hindrance)
            known |= {"environment": {**machine, "software": software}}
            write_json(folder.outcome(component.name), known)
        found.append(known)
    return found


@functools.cache
def _software() -> dict[str, Any]:
    return software_facts()  # reads the metadata of a hundred packages


def _kept(
    component: Component, folder: ComponentsFolder, host: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Give the outcome that is there, where it is one of the same, on the machine if one is named."""
    path = folder.outcome(component.name)
    if not path.exists():
        return None
    outcome = stored.read_outcome(path)
    there = outcome.get("environment", {}).get("host", {})
    here = host is None or all(there.get(key) == host.get(key) for key in _SAME_MACHINE)
    same = here and outcome.get("definition_hash") == component.definition_hash
    usable = outcome["status"] == stored.MEASURED and folder.samples(component.name).exists()
    return outcome if same and usable else None


def _measure(
    component: Component,
    folder: ComponentsFolder,
    tell: Callable[[Component, int, int, float], None] | None,
    hindrance: str,
) -> dict[str, Any]:
    """Measure all repetitions; whatever goes wrong is the outcome."""
    shutil.rmtree(folder.path / component.name, ignore_errors=True)
    began = time.time()
    common = {
        "schema": stored.SCHEMA,
        "component": component.name,
        "what": component.shipped.what if component.shipped else "",
        "definition": component.definition,
        "definition_hash": component.definition_hash,
        "command": list(component.argv),
        "started_at": began,
    }
    if hindrance:
        return {**common, **_without(stored.UNAVAILABLE, hindrance)}
    try:
        made = []
        for number in range(1, component.repetitions + 1):

            def progress(done: int, seconds: float, number: int = number) -> None:
                if tell is not None:
                    tell(component, number, done, seconds)

            made.append(run_repetition(component, folder.log(component.name), progress))
        metrics = _write_samples(component, folder, made)
    except NotAvailableError as error:
        return {**common, **_without(stored.UNAVAILABLE, str(error))}
    except InputError as error:
        return {**common, **_without(stored.UNUSABLE, str(error))}
    except InfrastructureError as error:
        return {**common, **_without(stored.FAILED, str(error))}
    return {
        **common,
        "status": stored.MEASURED,
        "reason": "",
        "ended_at": time.time(),
        "metrics": [_written(metric) for metric in metrics],
        "repetitions": [
            _told(component, number, repetition) for number, repetition in enumerate(made, start=1)
        ],
    }


def _without(status: str, reason: str) -> dict[str, Any]:
    return {
        "status": status,
        "reason": reason,
        "ended_at": time.time(),
        "metrics": [],
        "repetitions": [],
    }


def _written(metric: Metric) -> dict[str, Any]:
    return asdict(metric)


def _told(component: Component, number: int, made: Repetition) -> dict[str, Any]:
    return {
        "repetition": number,
        "began_at": made.began_at,
        "seconds": made.seconds,
        "starts": made.starts,
        "iterations": made.measured,
        "warmup_iterations": len(made.iterations) - made.measured,
        "ignored_lines": made.ignored,
        "first_ignored_line": made.first_ignored,
        "load_average": made.load_average,
        "remarks": _remarks(component, made),
    }


def _remarks(component: Component, made: Repetition) -> list[str]:
    """Say what keeps a repetition below the standards."""
    found = []
    if made.measured < component.iterations:
        found.append(
            f"{made.measured} of {component.iterations} iterations: the budget of "
            f"{component.budget_seconds:g} s ran out"
        )
    cpus = host_facts()["cpus_usable"]
    if made.load_average > BUSY_SHARE * cpus:
        found.append(
            f"the machine was busy before: {made.load_average:.1f} processes wanted {cpus} CPUs"
        )
    return found


def _write_samples(
    component: Component, folder: ComponentsFolder, made: list[Repetition]
) -> list[Metric]:
    """Write every iteration, in the units of the metrics; give these."""
    keys = list(
        dict.fromkeys(key for each in made for row in each.iterations for key in row.numbers)
    )
    metrics = metrics_of(component, keys)
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise InputError(
            f"Component {component.name}: of what it prints, two have the same name: "
            f"{', '.join(names)}. Name them under `values`."
        )
    every = [(number, row) for number, each in enumerate(made, 1) for row in each.iterations]
    counts = [index for each in made for index in range(1, len(each.iterations) + 1)]
    columns: dict[str, Any] = {
        "repetition": pd.array([number for number, _ in every], dtype="int16"),
        "start": pd.array([row.start for _, row in every], dtype="int32"),
        "iteration": pd.array(counts, dtype="int32"),
        "arrived_seconds": [row.arrived_seconds for _, row in every],
        "warmup": [row.warmup for _, row in every],
    }
    for metric in metrics:
        columns[metric.name] = [row.numbers[metric.key] * metric.scale for _, row in every]
    write_table(folder.samples(component.name), pd.DataFrame(columns))
    return metrics
