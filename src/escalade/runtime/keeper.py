"""The keeper of a run: advances its lease while the driver exists, and sweeps when it is gone.

`python -m escalade.runtime.keeper FOLDER` runs in a session of its own, out of reach
of Ctrl-C and of a closed terminal. A driver that is merely stopped (Ctrl-Z, a
debugger) exists, so its services live on.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.errors import EscaladeError
from escalade.runtime import daemon, driver, lease, ledger, processes
from escalade.runtime.driver import RunFolder

if TYPE_CHECKING:
    from escalade.runtime.processes import Identity

_BEAT_SECONDS = 1.0


class Keeper:
    """Keeps one run.

    Parameters
    ----------
    run
        Its folder.
    watched
        The driver's process.
    """

    def __init__(self, run: RunFolder, watched: Identity) -> None:
        self._run = run
        self._driver = watched
        self._beat_seconds = min(_BEAT_SECONDS, run.lease_seconds / 8)
        self._count = 0
        self._entries: list[ledger.Entry] = []
        self._swept: set[str] = set()

    def beat(self) -> None:
        """Advance the lease once, and end what a killed holder left behind."""
        self._count += 1
        with contextlib.suppress(OSError):  # a full or vanished disk is no reason to stop
            lease.advance(self._run.lease, self._count)
        self._entries = ledger.read(self._run.ledger) or self._entries
        for entry in self._entries:
            gone = entry.role == "holder" and not entry.identity.alive()
            if gone and entry.allocation not in self._swept:
                self._swept.add(entry.allocation)
                lost = [other for other in self._entries if other.allocation == entry.allocation]
                ledger.sweep_entries(lost)

    def keep(self) -> None:
        """Beat until the run is over or its driver is gone; then see to it that it ends."""
        while self._driver.alive() and not self._run.over.exists():
            self.beat()
            self._pause()
        if self._run.over.exists():
            return
        own = {processes.own_identity()}
        ledger.sweep_entries(ledger.read(self._run.ledger) or self._entries, spared=own)
        driver.finish(self._run, by="keeper")

    def _pause(self) -> None:
        """Wait for the next beat, or less when the driver dies."""
        try:
            handle = os.pidfd_open(self._driver.pid)
        except (AttributeError, OSError):  # gone, or a kernel before 5.3
            time.sleep(self._beat_seconds / 4 if self._driver.alive() else 0)
            return
        try:
            select.select([handle], [], [], self._beat_seconds)
        finally:
            os.close(handle)


def main(arguments: list[str]) -> int:
    """Keep the run in the folder named by the only argument."""
    path = Path(arguments[0])
    ready = daemon.detach(path / "keeper.log")
    try:
        run = RunFolder.open(path)
        watched = driver.driver_identity(path)
        if watched is None:
            return 0
        ledger.record(run.ledger, os.getpid(), role="keeper")
        keeper = Keeper(run, watched)
        keeper.beat()
        ready()
        keeper.keep()
    except EscaladeError as error:
        daemon.say(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
