"""The load generator's process: `python -m escalade.load.client --escalade-step PLAN -f FILE`.

Starts locust with the open-loop layer, tied to its parent and to its own cores.
All but its own options goes to locust.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys

from escalade.runtime.lifeline import die_with_parent


def main(argv: list[str] | None = None) -> None:
    """Run locust; it ends the process with its own exit code.

    Parameters
    ----------
    argv
        `--parent PID`, with which this process dies; `--cpus 0,1`, where it runs;
        then what locust takes.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--parent", type=int)
    parser.add_argument("--cpus", type=_cpus)
    own, rest = parser.parse_known_args(argv)
    if own.parent is not None:
        die_with_parent(own.parent)
    if own.cpus:
        _pin(own.cpus, parser)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one connection per user
    from locust.main import main as run_locust  # noqa: PLC0415 - patches the standard library

    import escalade.load.adapter  # noqa: F401, PLC0415 - adds --escalade-step

    sys.argv = ["locust", *rest]
    run_locust()  # type: ignore[no-untyped-call]


def _pin(cpus: set[int], parser: argparse.ArgumentParser) -> None:
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:
        allowed = sorted(os.sched_getaffinity(0))
        parser.error(f"--cpus: this process may run on {allowed}, not on {sorted(cpus)}")


def _cpus(text: str) -> set[int]:
    return {int(cpu) for cpu in text.split(",")}


if __name__ == "__main__":
    main()
