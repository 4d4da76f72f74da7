"""Measure what some CPUs can read, copy and compute, before there is any load on them.

`python -m escalade.hardware.probe --cpus 1,2 --out FILE` takes about a second. One thread for each
CPU stays on it and works on memory that it wrote first itself. The rules are those of STREAM
(McCalpin 1995): arrays of four times the last-level cache, all threads begin each pass together, and
the best pass is the figure, since whatever else the machine does can only make a pass slower.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # a thread of Python's for each CPU; none of the library's own beside it
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = "1"

import numpy as np

from escalade.files import write_json
from escalade.hardware.machine import free_memory_bytes, last_level_cache_bytes
from escalade.runtime.cores import parse_cpu_list, stay_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


PASSES = 10
PASS_SECONDS = 0.02
CACHES = 4
"""Size of each array in last-level caches, as STREAM demands."""
LEAST_BYTES, MOST_BYTES = 2**25, 2**32
"""Of each array, over all threads."""
UNKNOWN_CACHE_BYTES = 2**26
_MEMORY_SHARE = 4
"""Both arrays take at most a quarter of the free memory."""
_MATRIX = 512


def measure(cpus: Sequence[int], *, pass_seconds: float = PASS_SECONDS) -> dict[str, Any]:
    """Measure memory bandwidth and arithmetic of some CPUs together.

    Parameters
    ----------
    cpus
        Logical CPUs, one thread on each.
    pass_seconds
        How long each of the passes takes, about.

    Returns
    -------
    dict
        at (Unix s), cpus, threads, array_bytes (of each of two, over all threads),
        last_level_cache_bytes (None: unknown) and under `read`, `copy` (bytes/s) and `float32`
        (FLOP/s) the figures best, median and lowest, the number of passes and the method.
    """
    cache = last_level_cache_bytes(cpus)
    size = array_bytes(cache, free_memory_bytes())
    team = _Team(cpus, size // len(cpus) // 8 * 8)
    began = time.time()
    figures = team.run(pass_seconds)
    return {
        "schema": 1,
        "at": began,
        "seconds": round(time.time() - began, 3),
        "cpus": list(cpus),
        "threads": len(cpus),
        "array_bytes": size,
        "last_level_cache_bytes": cache,
        **figures,
    }


def array_bytes(cache: int | None, free: int) -> int:
    """Give the size of each array: four last-level caches, within what memory is free."""
    wanted = CACHES * (UNKNOWN_CACHE_BYTES if cache is None else cache)
    return int(min(max(wanted, LEAST_BYTES), MOST_BYTES, free / _MEMORY_SHARE / 2))


@dataclass(frozen=True)
class _Kernel:
    """Something to do, and what doing it once moves (bytes) or computes (operations)."""

    name: str
    run: Callable[[], object]
    amount: int
    method: str


class _Team:
    """Threads that do the same at the same time, each on a CPU of its own."""

    def __init__(self, cpus: Sequence[int], share_bytes: int) -> None:
        self._cpus, self._share = cpus, share_bytes
        self._ready = threading.Barrier(len(cpus))
        self._spans = np.zeros((len(cpus), 2))
        self._rounds = 1
        self._found: dict[str, Any] = {}
        self._errors: list[BaseException] = []

    def run(self, pass_seconds: float) -> dict[str, Any]:
        threads = [
            threading.Thread(target=self._work, args=(place, cpu, pass_seconds))
            for place, cpu in enumerate(self._cpus)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return self._found

    def _work(self, place: int, cpu: int, pass_seconds: float) -> None:
        try:
            stay_on((cpu,))  # the calling thread alone
            for kernel in _kernels(self._share):
                self._time(place, kernel, pass_seconds)
        except threading.BrokenBarrierError:
            return
        except BaseException as error:  # noqa: BLE001 - told by `run`, in the main thread
            self._errors.append(error)
            self._ready.abort()

    def _time(self, place: int, kernel: _Kernel, pass_seconds: float) -> None:
        first = min(self._pass(place, kernel, 1) for _ in range(2))
        rounds = max(1, math.ceil(pass_seconds / first))
        taken = [self._pass(place, kernel, rounds) for _ in range(PASSES)]
        if place == 0:
            rates = [kernel.amount * len(self._cpus) * rounds / seconds for seconds in taken]
            self._found[kernel.name] = {
                "best": max(rates),
                "median": statistics.median(rates),
                "lowest": min(rates),
                "passes": len(rates),
                "method": kernel.method,
            }

    def _pass(self, place: int, kernel: _Kernel, rounds: int) -> float:
        """Run the kernel in all threads; give the time from the first begin to the last end."""
        self._ready.wait()
        began = time.perf_counter()
        for _ in range(rounds):
            kernel.run()
        self._spans[place] = began, time.perf_counter()
        self._ready.wait()
        taken = float(self._spans[:, 1].max() - self._spans[:, 0].min())
        self._ready.wait()
        return taken


def _kernels(share_bytes: int) -> list[_Kernel]:
    """Make the memory of a thread, which writes it first, and what is done with it."""
    one, two = np.ones(share_bytes // 8), np.ones(share_bytes // 8)
    left, right = (np.ones((_MATRIX, _MATRIX), dtype=np.float32) for _ in range(2))
    out, both = np.empty_like(left), 2 * one.nbytes
    matrices = f"product of {_MATRIX} by {_MATRIX} matrices of float32 (numpy's BLAS)"
    return [
        _Kernel("read", lambda: one @ two, both, "dot product of two arrays of float64"),
        _Kernel("copy", lambda: np.copyto(two, one), both, "STREAM's Copy, float64"),
        _Kernel("float32", lambda: np.matmul(left, right, out=out), 2 * _MATRIX**3, matrices),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write what was found.

    Returns
    -------
    int
        0; 3 when there is too little memory.
    """
    parser = argparse.ArgumentParser(prog="hardware probe", description=__doc__)
    parser.add_argument("--cpus", required=True, help='as in "0-3,8"')
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        found = measure(sorted(parse_cpu_list(options.cpus)))
    except MemoryError:
        sys.stderr.write("there is too little memory to measure its bandwidth\n")
        return 3
    write_json(options.out, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
