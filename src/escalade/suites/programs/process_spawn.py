"""Seconds from the start of a process until it has ended: `true`, by posix_spawn."""

from __future__ import annotations

import os
import shutil
import time

from escalade.suites.programs import pacing


def main() -> None:
    """Print the time of each start, in s."""
    options = pacing.parser("process_spawn", "Start `true` and wait for its end.").parse_args()
    program = shutil.which("true")
    if program is None:
        pacing.unavailable("there is no program `true` on PATH")
    path = program

    def once() -> float:
        began = time.perf_counter()
        _, status = os.waitpid(os.posix_spawn(path, [path], {}), 0)
        seconds = time.perf_counter() - began
        if status:
            pacing.fail(f"{path} ended with {os.waitstatus_to_exitcode(status)}")
        return seconds

    pacing.measure(options, once)


if __name__ == "__main__":
    pacing.run(main)
