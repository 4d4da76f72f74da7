"""The kill of a service, or of one copy of it, in the middle of a step, and its new start."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from escalade.campaign.state import read_allocation, read_service, replicas_of
from escalade.files import read_json
from escalade.runtime import processes
from escalade.runtime.launcher import launcher_for
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from escalade.campaign.failure import Failure
    from escalade.campaign.run import CellRun
    from escalade.load.plan import LoadStep

NEAR_SECONDS = 1.0
"""The watch looks twice a second; when the moment is nearer than this, it waits for it."""


class Killing:
    """Kills a copy of a cell's service when its time has come, and starts it again.

    Parameters
    ----------
    here
        The cell.
    step
        As it is sent.
    warmup_seconds
        From the start of the step to that of its window.
    failure
        What was asked for.
    """

    def __init__(
        self, here: CellRun, step: LoadStep, warmup_seconds: float, failure: Failure
    ) -> None:
        self._allocation = read_allocation(here.state)
        self._launcher = launcher_for(self._allocation)
        self._copy = replicas_of(read_service(here.state))[failure.replica - 1]
        self._started = step.each()[0].started_file
        self._after = warmup_seconds + failure.at_seconds
        self._failure = failure
        self._due: float | None = None
        self.facts: dict[str, Any] = {"killed_at": None, "restarted_at": None}
        if here.cell.deployment.replicas > 1:
            self.facts["replica"] = failure.replica

    @property
    def dead_on_purpose(self) -> str | None:
        """Give the name of the step that was killed and not started again; None when all are to live."""
        dead = self.facts["killed_at"] is not None and self.facts["restarted_at"] is None
        return str(self._copy["step"]) if dead else None

    def look(self) -> None:
        """Do what is due, waiting for it where it is near; a service that was not started here is left alone."""
        if self._copy["step"] is None:
            return
        if self._due is None and self._started.exists():
            begun = read_json(self._started, "Start of the load step")["started_at"]
            self._due = float(begun) + self._after
        if self._due is None or self._due - time.time() > NEAR_SECONDS:
            return
        if self.facts["killed_at"] is None:
            time.sleep(max(0.0, self._due - time.time()))
            killed = self._kill()
            again = self._failure.restart_after_seconds
            self._due = None if again is None else killed + again
            self._started = self._started.with_name("never")
        elif self.facts["restarted_at"] is None:
            time.sleep(max(0.0, self._due - time.time()))
            self._start()

    def _kill(self) -> float:
        """Kill the copy with all its processes; give the time of it.

        It is killed on its node, whose clock is believed as far as the kill may have been then.
        """
        state = self._launcher.state(self._allocation, self._copy["step"])
        place = next(each for each in self._allocation.services if each.node == self._copy["node"])
        asked = time.time()
        told = self._launcher.call(self._allocation, place, processes.kill_tree, state.pid)
        killed = min(max(told, asked), time.time())
        self.facts["killed_at"] = killed
        return killed

    def _start(self) -> None:
        """Start the copy by the request with which it was started first."""
        spec = StepSpec.from_json(self._copy["request"])
        if spec.scratch is not None:
            self.facts["note"] = "not started again: its data lay in a folder that ended with it"
            self._due = None
            return
        self._launcher.stop(self._allocation, spec.name)
        self.facts["restarted_at"] = time.time()
        self._launcher.start(self._allocation, spec)
