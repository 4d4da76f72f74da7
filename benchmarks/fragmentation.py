"""Fragmentation of CUDA memory, without max_split_size_mb and with it; needs a GPU and PyTorch.

    python benchmarks/fragmentation.py [--limit-mib 8192] [--steps 6000] [--seed 1]

Each setting gets a process of its own, since PyTorch reads PYTORCH_CUDA_ALLOC_CONF once. It may use
`--limit-mib` of the GPU's memory, in which tensors of many sizes come and go; at most 70 % of it is
in use at a time, so that what fails does so for the pieces. Events are read from the page that a
service shows (`escalade.gpu.fragmentation`). Exit code 0: fewer allocations failed with the setting,
1: not fewer, 3: no GPU or no PyTorch.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from escalade.gpu.fragmentation import (
    CAPACITY,
    CONF_VARIABLES,
    FRAGMENTATION,
    RATIO,
    UNJUDGED,
    watch_allocator,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MIB = 1024**2
SETTINGS = ("", "max_split_size_mb:128", "expandable_segments:True")
"""Of PYTORCH_CUDA_ALLOC_CONF; the first two are judged."""
SHARE_IN_USE = 0.7
LARGE_SHARE = 0.3
NO_GPU = 3


def play(
    allocate: Callable[[int], Any], failed: type[Exception], limit: int, steps: int, seed: int
) -> int:
    """Let tensors come and go, and give how many could not be had.

    Parameters
    ----------
    allocate
        Takes bytes, gives what holds them until it is let go.
    failed
        What it raises when it can't.
    limit
        Bytes that there are.
    steps
        Number of allocations.
    seed
        Of sizes and lifetimes: the same for all settings.
    """
    chance = random.Random(seed)
    held: list[tuple[int, Any]] = []
    in_use = failures = 0
    for _ in range(steps):
        large = chance.random() < LARGE_SHARE
        size = int(2 ** (chance.uniform(7, 10) if large else chance.uniform(1, 6)) * MIB)
        while held and in_use + size > SHARE_IN_USE * limit:
            in_use -= held.pop(chance.randrange(len(held)))[0]
        try:
            held.append((size, allocate(size)))
            in_use += size
        except failed:
            failures += 1
    return failures


def measure(limit: int, steps: int, seed: int) -> dict[str, Any]:
    """Play in this process, and read what its page says then."""
    import torch  # noqa: PLC0415 - in the children alone

    torch.cuda.init()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))
    registry = CollectorRegistry()
    watch_allocator(registry)
    list(registry.collect())  # from here on failures are seen
    began = time.perf_counter()
    failures = play(
        lambda size: torch.empty(size, dtype=torch.uint8, device="cuda"),
        torch.cuda.OutOfMemoryError,
        limit,
        steps,
        seed,
    )
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    samples = [each for family in registry.collect() for each in family.samples]

    def of(name: str, **labels: str) -> float | None:
        wanted = {"device": "0", **labels}.items()
        return next(
            (s.value for s in samples if s.name == name and wanted <= s.labels.items()), None
        )

    return {
        "gpu": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "failures": failures,
        "in pieces": of(FRAGMENTATION, kind="oom"),
        "tried again": of(FRAGMENTATION, kind="retry"),
        "for want": of(CAPACITY),
        "unjudged": of(UNJUDGED),
        "ratio": of(RATIO),
        "seconds": seconds,
    }


def why_not() -> str:
    """Say why nothing can be measured here; "" when it can."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed. Install it (pip install torch) on a machine with a GPU."
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    if subprocess.run([sys.executable, "-c", code], check=False).returncode:
        return "PyTorch sees no GPU here. Run it on a machine with one."
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each setting, print the table, and judge the second by the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit-mib", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(measure(options.limit_mib * MIB, options.steps, options.seed)))
        return 0
    if why := why_not():
        sys.stderr.write(f"No fragmentation was measured: {why}\n")
        return NO_GPU
    rows = [_in_a_process(setting, options) for setting in SETTINGS]
    print(
        f"{rows[0]['gpu']}, PyTorch {rows[0]['torch']}, {options.limit_mib} MiB, {options.steps} allocations"
    )
    print(
        "| PYTORCH_CUDA_ALLOC_CONF | failed in pieces | failed for want | unjudged | tried again | ratio | seconds |"
    )
    print("|---|---|---|---|---|---|---|")
    for setting, row in zip(SETTINGS, rows, strict=True):
        cells = [row[key] for key in ("in pieces", "for want", "unjudged", "tried again")]
        ratio = "–" if row["ratio"] is None else f"{row['ratio']:.3f}"
        words = [*(f"{cell:.0f}" for cell in cells), ratio, f"{row['seconds']:.2f}"]
        print(
            f"| `{setting}` | {' | '.join(words)} |"
            if setting
            else f"| not set | {' | '.join(words)} |"
        )
    return 0 if rows[1]["in pieces"] < rows[0]["in pieces"] else 1


def _in_a_process(setting: str, options: argparse.Namespace) -> dict[str, Any]:
    usual = {name: value for name, value in os.environ.items() if name not in CONF_VARIABLES}
    sizes = ["--limit-mib", str(options.limit_mib), "--steps", str(options.steps)]
    done = subprocess.run(
        [sys.executable, __file__, "--child", *sizes, "--seed", str(options.seed)],
        env={**usual, "PYTORCH_CUDA_ALLOC_CONF": setting} if setting else usual,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    raise SystemExit(main())
