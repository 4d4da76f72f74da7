"""A neighbour that takes CPU time, memory bandwidth or a disk's, as much as it is told to.

`python -m escalade.services.stressor cpu --workers 2 --share 0.5` runs until SIGTERM. It runs
beside a service under test, on the service's CPUs, as a step of the cell like any other, so what
it uses is scraped with the role `stressor`. One program of our own, not whichever a machine has:
the same configuration then means the same neighbour everywhere.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.sharedctypes import Synchronized

PERIOD_SECONDS = 0.01
"""A worker with a share below 1 computes and rests within each of these."""
BLOCK_BYTES = 1 << 20
ENDED_BY_ITSELF = 4
"""Exit code when a worker ended that nobody had told to."""


def burn(options: argparse.Namespace, _: int, count: Synchronized[int]) -> None:
    """Compute for `share` of each period; counts rounds of a thousand additions."""
    while True:
        began = time.perf_counter()
        until = began + options.share * PERIOD_SECONDS
        while time.perf_counter() < until:
            sum(range(1000))
            count.value += 1
        if options.share < 1:
            time.sleep(max(0.0, began + PERIOD_SECONDS - time.perf_counter()))


def copy(options: argparse.Namespace, _: int, count: Synchronized[int]) -> None:
    """Copy one half of a buffer to the other and back, without end; counts bytes."""
    half = options.megabytes * BLOCK_BYTES // 2
    first, second = np.ones(half, dtype=np.uint8), np.zeros(half, dtype=np.uint8)
    while True:
        np.copyto(second, first)
        first, second = second, first
        count.value += half


def write(options: argparse.Namespace, worker: int, count: Synchronized[int]) -> None:
    """Write a file block by block, each brought to the disk, from the start again when it is full; counts bytes."""
    block = os.urandom(BLOCK_BYTES)  # what does not compress
    with (Path(options.folder) / f"stress-{worker}").open("wb", buffering=0) as file:
        while True:
            file.write(block)
            os.fsync(file.fileno())
            count.value += BLOCK_BYTES
            if file.tell() >= options.megabytes * BLOCK_BYTES:
                file.seek(0)


KINDS: dict[str, tuple[Callable[[argparse.Namespace, int, Synchronized[int]], None], str]] = {
    "cpu": (burn, "rounds"),
    "memory": (copy, "bytes"),
    "disk": (write, "bytes"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the workers until SIGTERM or SIGINT, and say in one line of JSON what they did.

    Returns
    -------
    int
        0, or ENDED_BY_ITSELF when a worker failed, such as on a full disk.
    """
    options = _options(arguments)
    work, unit = KINDS[options.kind]
    context = multiprocessing.get_context("fork")
    counts = [context.Value("q", 0) for _ in range(options.workers)]
    workers = [
        context.Process(target=_worker, args=(work, options, number, count), daemon=True)
        for number, count in enumerate(counts)
    ]
    ended = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)
    began = time.monotonic()
    for worker in workers:
        worker.start()
    told = signal.sigwait(ended)
    for worker in workers:
        worker.kill()
        worker.join()
    seconds = time.monotonic() - began
    amount = sum(count.value for count in counts)
    line = {"kind": options.kind, "workers": options.workers, "seconds": seconds, unit: amount}
    sys.stdout.write(json.dumps(line) + "\n")
    return ENDED_BY_ITSELF if told == signal.SIGCHLD else 0


def _worker(
    work: Callable[[argparse.Namespace, int, Synchronized[int]], None],
    options: argparse.Namespace,
    number: int,
    count: Synchronized[int],
) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    work(options, number, count)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stressor", description=__doc__)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of a CPU, of each cpu worker")
    parser.add_argument("--megabytes", type=int, default=256, help="of each memory or disk worker")
    parser.add_argument("--folder", default=".", help="on the disk to write to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
