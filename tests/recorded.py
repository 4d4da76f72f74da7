"""Readings of simulated GPUs, and the files of a session that has them."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from escalade.profiler.outputs import write_outputs
from escalade.profiler.reading import Reading
from escalade.profiler.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from escalade.profiler.outputs import Written

START = 1746369000.25
MODEL = "NVIDIA H100 80GB HBM3"


@dataclass
class Recorded:
    """Nodes that read their GPUs each at a phase of its own, with jitter.

    Parameters
    ----------
    nodes, gpus
        How many; GPUs of each node.
    count
        Readings of each GPU.
    interval
        Between them, in seconds.
    silent
        By node, the readings [from, to) that are not there.
    """

    nodes: int = 2
    gpus: int = 2
    count: int = 60
    interval: float = 0.5
    silent: dict[int, tuple[int, int]] = field(default_factory=dict)

    def readings(self, start: float, end: float) -> Iterator[Reading]:
        """Give them in the order of time."""
        drawn = random.Random(7)
        phases = sorted(drawn.uniform(0.2, 0.8) for _ in range(self.nodes))
        energy = dict.fromkeys(itertools.product(range(self.nodes), range(self.gpus)), 5e6)
        for tick in range(self.count):
            for node, phase in enumerate(phases):
                at = start + (tick + phase + drawn.uniform(-0.01, 0.01)) * self.interval
                if at >= end:
                    return
                first, last = self.silent.get(node, (0, 0))
                for gpu in range(self.gpus):
                    use = drawn.random()
                    energy[node, gpu] += (100 + 500 * use) * self.interval
                    if not first <= tick < last:
                        yield _reading(at, node, gpu, use, energy[node, gpu])

    def write(self, folder: Path, name: str = "training") -> Written:
        """Write the files of a session of them, with bandwidths."""
        end = START + self.count * self.interval
        milliseconds = round(self.interval * 1000)
        session = Session("1-a", name, START, end, milliseconds, bandwidth=True, nvlink=True)
        return write_outputs(session, self, folder)


def _reading(at: float, node: int, gpu: int, use: float, energy: float) -> Reading:
    values = {
        "utilization_ratio": use,
        "memory_used_bytes": 4e10 + 1e9 * gpu,
        "memory_total_bytes": 8e10,
        "power_watts": 100 + 500 * use,
        "temperature_celsius": 40 + 30 * use,
        "energy_joules": energy,
        "pcie_sent_bytes": energy * 1e6,
        "pcie_received_bytes": energy * 3e6,
        "nvlink_sent_bytes": energy * 1e7,
        "nvlink_received_bytes": energy * 1e7,
    }
    return Reading(at, f"node{node}", gpu, MODEL, f"GPU-{node}-{gpu}", values)
