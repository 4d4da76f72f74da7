"""What is claimed of the profiler, and how each figure is measured."""

from __future__ import annotations

import itertools
import os
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from escalade.profiler.head.folder import HeadFolder
from escalade.profiler.stored import StoredReadings
from profiling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from field import Field

    from escalade.profiler.reading import Reading

Found = tuple[float, str]
INTERVAL = 0.1


@dataclass(frozen=True)
class Claim:
    """A line of the table."""

    name: str
    aim: str
    holds: Callable[[float], bool]
    peer: str


CLAIMS = {
    "mean": Claim("cadence at 100 ms: mean", "within 0.1 %", lambda x: x <= 0.001, "1,001 ms whatever is asked"),
    "p99": Claim("cadence at 100 ms: p99 of the error", "under 5 %", lambda x: x < 0.05, "0.74 to 1.18 s"),
    "age": Claim("age of a reading under its timestamp", "0", lambda x: x < 0.001, "20 to 550 ms"),
    "cut": Claim("cut of 60 s: readings lost", "0", lambda x: x == 0, "all"),
    "caught": Claim("cut of 60 s: caught up", "within 10 s", lambda x: x <= 10, "never"),
    "head": Claim("kill -9 of the head", "at most 1 s lost", lambda x: x <= 1, "whole session"),
    "agent": Claim("kill -9 of an agent in a cut", "at most 2 s lost", lambda x: x <= 2, "its buffer"),
    "term": Claim("SIGTERM in a cut, queue drained: readings lost", "0", lambda x: x == 0, "its buffer"),
    "memory": Claim("resident memory of a node: agent and vmagent", "under 60 MB", lambda x: x < 60e6, "617 MB"),
    "cpu": Claim("CPU of a node at 100 ms, 8 GPUs", "(no aim)", lambda _: True, "1.1 to 2.6 %"),
    "install": Claim("install on a node: node extra and vmagent", "under 150 MB", lambda x: x < 150e6, "5.9 GB"),
    "command": Claim("one command", "under 1 s", lambda x: x < 1, "5 to 14 s"),
    "many": Claim("64 nodes of 8 GPUs at 1 s: CPU of the head", "under half a core", lambda x: x < 0.5, "stop blocks 14 s"),
}  # fmt: skip


def measured(field: Field, scale: float) -> dict[str, Found]:
    """Measure all that four nodes show."""
    field.ask("profile", "--name", "all")
    found: dict[str, Found] = {}
    _say("cadence")
    began, used = time.time(), _cpu(field, "node0")
    time.sleep(60 * scale)
    ended = time.time()
    share = (_cpu(field, "node0") - used) / (ended - began)
    found["cpu"] = share, f"{100 * share:.1f} % of a core"
    found |= _cadence(field, began + 1, ended - 2)
    found["memory"] = _memory(field, "node0")
    found["command"] = _command(field)
    _say("cut of 60 s")
    found |= _cut(field, "node1", 60.0)
    _say("kill -9 of the head")
    found["head"] = _killed_head(field)
    _say("kill -9 of an agent in a cut")
    found["agent"] = _killed_agent(field, "node2")
    _say("SIGTERM in a cut")
    found["term"] = _ended_agent(field, "node3")
    return found


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def _readings(field: Field, start: float, end: float, node: str | None = None) -> list[Reading]:
    url = HeadFolder(field.rig.data).database_url()
    found = StoredReadings(str(url)).readings(start, end)
    return [it for it in found if it.gpu == 0 and node in (None, it.node)]


def _steps(readings: list[Reading]) -> list[float]:
    times = sorted(it.time for it in readings)
    return [after - before for before, after in itertools.pairwise(times)]


def _lost(readings: list[Reading]) -> int:
    return sum(round(step / INTERVAL) - 1 for step in _steps(readings))


def _cadence(field: Field, start: float, end: float) -> dict[str, Found]:
    readings = _readings(field, start, end)
    steps = [
        step for node in field.names for step in _steps([it for it in readings if it.node == node])
    ]
    mean = statistics.fmean(steps)
    off = sorted(abs(step - INTERVAL) / INTERVAL for step in steps)
    p99 = off[int(0.99 * len(off))]
    missing = sum(round(step / INTERVAL) - 1 for step in steps)
    gpu = field.machine.state.gpus[0]
    ages = sorted(
        it.time - (gpu.since + it.values["pcie_sent_bytes"] / gpu.pcie_out) for it in readings
    )
    worst = max(abs(ages[int(0.01 * len(ages))]), abs(ages[int(0.99 * len(ages))]))
    return {
        "mean": (
            abs(mean - INTERVAL) / INTERVAL,
            f"{1000 * mean:.3f} ms ({missing} of {len(steps)} late)",
        ),
        "p99": (p99, f"{100 * p99:.1f} %"),
        "age": (
            statistics.median(map(abs, ages)),
            f"{1000 * statistics.median(ages):+.2f} ms at the median, {1000 * worst:.2f} ms at p99",
        ),
    }


def _processes(field: Field, name: str) -> list[psutil.Process]:
    root = psutil.Process(field.agents[name].process.pid)
    return [root, *root.children(recursive=True)]


def _memory(field: Field, name: str) -> Found:
    parts = [(it.name(), it.memory_info().rss) for it in _processes(field, name)]
    total = sum(size for _, size in parts)
    return total, f"{total / 1e6:.1f} MB ({', '.join(f'{n} {s / 1e6:.1f}' for n, s in parts)})"


def _cpu(field: Field, name: str) -> float:
    times = [it.cpu_times() for it in _processes(field, name)]
    return sum(it.user + it.system for it in times)


def _command(field: Field) -> Found:
    taken = []
    for _ in range(5):
        began = time.monotonic()
        field.ask("status")
        taken.append(time.monotonic() - began)
    return statistics.median(taken), f"{statistics.median(taken):.2f} s (`status`, median of 5)"


def _cut(field: Field, node: str, seconds: float) -> dict[str, Found]:
    began = time.time()
    time.sleep(2)
    field.cut(node)
    time.sleep(seconds)
    field.mend(node)
    mended = time.time()
    until(lambda: _lost_between(field, node, began, mended) == 0, 90)
    took = time.time() - mended
    time.sleep(2)
    lost = _lost(_readings(field, began, time.time() - 2, node))
    return {
        "cut": (lost, f"{lost} of {round((seconds + took) / INTERVAL)}"),
        "caught": (took, f"{took:.1f} s"),
    }


def _lost_between(field: Field, node: str, start: float, end: float) -> int:
    """Count what is missing of a time, its end included."""
    readings = _readings(field, start, end, node)
    last = max((it.time for it in readings), default=start)
    return _lost(readings) + max(0, round((end - last) / INTERVAL) - 1)


def _killed_head(field: Field) -> Found:
    began = time.time()
    time.sleep(3)
    field.rig.children[0].process.kill()
    field.rig.children[0].process.wait()
    time.sleep(5)
    field.rig.children[0] = field.start_head()
    time.sleep(12)
    lost = max(_lost(_readings(field, began, time.time() - 3, node)) for node in field.names)
    return lost * INTERVAL, f"{lost * INTERVAL:.1f} s (the worst of four nodes), sessions go on"


def _killed_agent(field: Field, node: str) -> Found:
    began = time.time()
    field.cut(node)
    time.sleep(15)
    killed = time.time()
    for one in reversed(_processes(field, node)):  # vmagent first: nobody tells it to end in order
        os.kill(one.pid, signal.SIGKILL)
    field.agents[node].process.wait()
    time.sleep(1)
    field.connect(node)
    time.sleep(2)
    field.mend(node)
    time.sleep(10)
    before = [it for it in _readings(field, began, time.time(), node) if it.time <= killed]
    lost = _lost(before) * INTERVAL + killed - max(it.time for it in before)
    return lost, f"{lost:.2f} s before the kill"


def _ended_agent(field: Field, node: str) -> Found:
    began = time.time()
    time.sleep(1)
    field.cut(node)
    time.sleep(15)
    ended = time.time()
    field.agents[node].end()
    field.mend(node)
    field.rig.run("drain", str(field.rig.queue(node)), field.address_for(node), *field.token)
    lost = _lost_between(field, node, began, ended)
    return lost, f"{lost} of {round((ended - began) / INTERVAL)}"
