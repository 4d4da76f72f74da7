"""What the shipped programs share: warm up, measure, print one number a line.

Numbers are printed in blocks, twice a second, between iterations: whoever reads them does
not wake up beside each one. Without limits a program prints until it is ended.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNAVAILABLE = 69
"""Exit code that says "not available here"; the last line on standard error says why."""
FAILED = 1
BLOCK_SECONDS = 0.5


def parser(program: str, what: str) -> argparse.ArgumentParser:
    """Give a parser that knows the standards."""
    made = argparse.ArgumentParser(prog=program, description=what)
    made.add_argument("--iterations", type=int, default=0, help="how many are printed, at least")
    made.add_argument("--least-seconds", type=float, default=0.0, help="for how long, at least")
    made.add_argument("--warmup-seconds", type=float, default=0.0, help="first, without a word")
    return made


def measure(options: argparse.Namespace, once: Callable[[], float]) -> None:
    """Call `once` until the standards are met; print what it gives.

    Parameters
    ----------
    options
        Of a `parser`.
    once
        One iteration; gives what it measured.
    """
    gc.collect()
    gc.disable()
    _until(time.monotonic() + options.warmup_seconds, once)
    began, done = time.monotonic(), 0
    while not _enough(options, done, time.monotonic() - began):
        wanted = options.iterations - done if options.iterations else sys.maxsize
        if done >= options.iterations > 0:  # only the time is short
            wanted = sys.maxsize
        block = _block(once, wanted)
        done += len(block)
        sys.stdout.write("".join(f"{value!r}\n" for value in block))
        sys.stdout.flush()


def _until(end: float, once: Callable[[], float]) -> None:
    while time.monotonic() < end:
        once()


def _enough(options: argparse.Namespace, done: int, seconds: float) -> bool:
    return bool(0 < options.iterations <= done and seconds >= options.least_seconds)


def _block(once: Callable[[], float], wanted: int) -> Sequence[float]:
    values: list[float] = []
    end = time.monotonic() + BLOCK_SECONDS
    while len(values) < wanted and time.monotonic() < end:
        values.append(once())
    return values


def unavailable(why: str) -> NoReturn:
    """End with the words "not available here"."""
    _end(why, UNAVAILABLE)


def fail(why: str) -> NoReturn:
    """End, since an iteration went wrong."""
    _end(why, FAILED)


def _end(why: str, code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.write(" ".join(why.split()) + "\n")
    sys.stderr.flush()
    raise SystemExit(code)


def run(main: Callable[[], None]) -> None:
    """Run a program that ends when its parent dies, or nobody reads what it prints."""
    die_with_parent()
    signal.signal(signal.SIGTERM, _leave)
    try:
        main()
    except BrokenPipeError:
        os._exit(FAILED)
    except KeyboardInterrupt:
        os._exit(130)


def _leave(*_: object) -> NoReturn:
    """End as asked to, and tidy up on the way."""
    raise SystemExit(0)
