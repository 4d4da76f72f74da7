"""Holds an allocation: what its batch script becomes.

`python -m escalade.runtime.slurm.hold LEASE SECONDS` does nothing, until the lease of
the run has stood still for so long: then it exits, which ends the job with every step
in it, on all nodes. Time limits are Slurm's.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from escalade.runtime import daemon
from escalade.runtime.lease import LeaseWatch

_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_MAX_LOOK_SECONDS = 5.0
STALE = 3
"""Exit code when the lease stood still."""


def command(lease: Path, seconds: float) -> tuple[str, ...]:
    """Give the command that holds an allocation for as long as a lease is advanced."""
    # -P: a file named like a standard module must not be picked up from the working folder.
    return (sys.executable, "-P", "-m", "escalade.runtime.slurm.hold", str(lease), f"{seconds:g}")


def main(arguments: list[str]) -> int:
    """Wait for a stale lease (`STALE`) or a signal (0)."""
    lease, seconds = Path(arguments[0]), float(arguments[1])
    watch = LeaseWatch(lease, seconds)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    while not watch.stale():
        # Shared storage is not asked more often than it needs.
        if received := signal.sigtimedwait(_ENDING, min(seconds / 8, _MAX_LOOK_SECONDS)):
            daemon.say(f"ended by {signal.Signals(received.si_signo).name}")
            return 0
    daemon.say(f"{lease} stood still for {seconds:g} s: the driver of the run is gone")
    return STALE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
