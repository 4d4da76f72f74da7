"""Ends every process of a cluster on loopback once its input ends, as when a test is killed.

Runs as `python -I -S warden.py MARK`, where each of those processes has `MARK` in its
environment.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_PATIENCE_SECONDS = 10.0


def main(mark: bytes) -> None:
    """Wait for the end of input, then kill what has the mark until nothing has it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := marked(mark)) and time.monotonic() < deadline:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


def marked(mark: bytes) -> list[int]:
    """Find the processes with the mark; zombies have no environment."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib takes long to load
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - the same
                if mark in file.read().split(b"\0"):
                    found.append(int(name))
        except (OSError, ValueError):
            continue
    return found


if __name__ == "__main__":
    main(os.fsencode(sys.argv[1]))
