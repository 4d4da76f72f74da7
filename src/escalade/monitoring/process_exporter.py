"""Exporter of what the steps of an allocation use: CPU, memory, threads.

`python -m escalade.monitoring.process_exporter --steps FOLDER --port N` reads the
spool folder of an allocation and serves one set of samples for each step that
runs. The node's own totals (node_exporter) include the load generator; these do
not. A step that does not run has no samples.
"""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from escalade.monitoring.process_tree import ProcessTable, StepTree
from escalade.runtime.exposition import serve
from escalade.runtime.processes import Identity
from escalade.runtime.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from escalade.monitoring.process_tree import Usage
    from escalade.runtime.spool import Note

CPU_SECONDS = "escalade_process_cpu_seconds_total"
MEMORY_BYTES = "escalade_process_resident_memory_bytes"
THREADS = "escalade_process_threads"
PROCESSES = "escalade_processes"
ERRORS = "escalade_process_errors_total"

_LABELS = ("role", "step")


class ProcessCollector(Collector):
    """Reads the steps of an allocation at every scrape.

    Parameters
    ----------
    steps
        Spool folder of the allocation.
    """

    def __init__(self, steps: Path) -> None:
        self._spool = Spool(steps)
        self._table = ProcessTable()
        self._trees: dict[str, StepTree] = {}
        self._errors = 0
        self._lock = threading.Lock()  # two scrapers at once must not count twice

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read any process."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the samples of this moment."""
        with self._lock:
            return self._families()

    def _families(self) -> list[Metric]:
        cpu = CounterMetricFamily(
            CPU_SECONDS, "User and system CPU time of the step's process tree.", labels=_LABELS
        )
        memory = GaugeMetricFamily(
            MEMORY_BYTES,
            "Memory of the step's process tree: sum of proportional set sizes (kind pss), "
            "or of resident set sizes where those can't be read (kind rss).",
            labels=(*_LABELS, "kind"),
        )
        threads = GaugeMetricFamily(THREADS, "Threads of the step's tree.", labels=_LABELS)
        processes = GaugeMetricFamily(PROCESSES, "Processes of the step's tree.", labels=_LABELS)
        for key, usage in self._usages():
            cpu.add_metric(key, usage.cpu_seconds)
            memory.add_metric((*key, usage.memory_kind), usage.memory_bytes)
            threads.add_metric(key, usage.threads)
            processes.add_metric(key, usage.processes)
        errors = CounterMetricFamily(ERRORS, "Notes of the spool that name no process.")
        errors.add_metric((), self._errors)
        return [cpu, memory, threads, processes, errors]

    def _usages(self) -> list[tuple[tuple[str, str], Usage]]:
        table = self._table.read()
        found = []
        running = self._running()
        self._trees = {name: self._trees[name] for name in running if name in self._trees}
        for name, (role, root) in running.items():
            tree = self._trees.get(name)
            if tree is None or tree.root != root:
                tree = self._trees[name] = StepTree(root)
            if usage := tree.usage(table):
                found.append(((role, name), usage))
        return found

    def _running(self) -> dict[str, tuple[str, Identity]]:
        """Give role and first process of each step that has begun and not ended."""
        ended = self._spool.notes("ended")
        running = {}
        for name, note in self._spool.notes("started").items():
            if name in ended and ended[name].token == note.token:
                continue
            try:
                running[name] = _begun(note)
            except (KeyError, TypeError, ValueError):
                self._errors += 1
        return running


def _begun(note: Note) -> tuple[str, Identity]:
    role, pid, start_time = (note.content[key] for key in ("role", "pid", "start_time"))
    return str(role), Identity(int(pid), int(start_time))


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0, or 3 when the port can't be had.
    """
    parser = argparse.ArgumentParser(prog="process_exporter", description=__doc__)
    parser.add_argument("--steps", type=Path, required=True, help="spool folder of an allocation")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="to listen on")
    options = parser.parse_args(arguments)
    return serve(ProcessCollector(options.steps), options.address, options.port)


if __name__ == "__main__":
    raise SystemExit(main())
