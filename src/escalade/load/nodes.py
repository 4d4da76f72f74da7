"""The load generators of several nodes: one client process on each, one epoch for all."""

from __future__ import annotations

import select
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from escalade.load import clocks
from escalade.load.clocks import EXCHANGES, Exchange, Reading
from escalade.load.generator import ending
from escalade.load.link import STOP_SECONDS, ClientProcess
from escalade.load.plan import LEAD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_CLOCK_SECONDS = 5.0
"""How long a node may take to say what its clock shows."""


@dataclass(frozen=True, slots=True)
class ClientNode:
    """A node that sends.

    Parameters
    ----------
    name
        Of the node.
    cpus, log, prefix
        As in `link.ClientProcess`.
    """

    name: str
    cpus: Sequence[int] | None
    log: Path
    prefix: Callable[[], Sequence[str]] = tuple


class _Side:
    """One node's part in a step.

    Parameters
    ----------
    node
        Where it runs.
    """

    def __init__(self, node: ClientNode) -> None:
        self.node = node
        self.process = ClientProcess(node.cpus, node.log, node.prefix)
        self.workers: list[int] = []
        self.ready = self.runs = False
        self.before: Reading | None = None
        self.after: Reading | None = None
        self._waiting: list[dict[str, Any]] = []
        self._asked = 0

    def fileno(self) -> int:
        """Give what select waits for."""
        return self.process.fileno()

    @property
    def has_said(self) -> bool:
        """Whether something that it said has not been looked at."""
        return bool(self._waiting)

    def begin(self, workers: Sequence[tuple[Sequence[str], Path]], every: int, first: int) -> None:
        """Order its share of a step's workers."""
        self.before = self.after = None
        self._waiting.clear()
        self.workers = list(range(first, len(workers), every))
        self.ready, self.runs = False, bool(self.workers)
        if self.runs:
            self.process.run(workers[first::every], wait=True)

    def answers(self) -> list[dict[str, Any]]:
        """Give what it has said so far.

        Raises
        ------
        ConnectionError
            When it is gone, and there is nothing else.
        """
        said, self._waiting = self._waiting, []
        with suppress(ConnectionError) if said else nullcontext():
            while (answer := self.process.heard(0.0)) is not None:
                said.append(answer)
        return said

    def read_clock(self) -> Reading:
        """Ask what the node's clock shows.

        Raises
        ------
        ConnectionError
            When its process is gone.
        TimeoutError
            When it does not answer.
        """
        return Reading.of([self._exchange() for _ in range(EXCHANGES)])

    def _exchange(self) -> Exchange:
        self._asked += 1
        asked = time.perf_counter()
        self.process.order({"clock": self._asked})
        while (answer := self.process.heard(_CLOCK_SECONDS)) is not None:
            heard = time.perf_counter()
            if answer.get("clock") == self._asked:
                received, answered = answer["at"]
                return Exchange(asked, received, answered, heard, answer["unix_offset"])
            self._waiting.append(answer)
        raise TimeoutError


class NodesGenerator:
    """Runs the load generators of one step at a time on several nodes; see `Generator`.

    Worker w runs on node w mod N. When all of them are ready, every node is asked for its
    clock, and told the epoch in that. One that fails ends the step for all.

    Parameters
    ----------
    nodes
        Where they run; the times of all are those of the first one's clock.
    """

    def __init__(self, nodes: Sequence[ClientNode]) -> None:
        self._sides = [_Side(node) for node in nodes]
        self._begun = False
        self._code = 0
        self._failed: _Side | None = None
        self._cause: str | None = None

    @property
    def log(self) -> Path:
        """Of the node that failed first, else of the first one."""
        return (self._failed or self._sides[0]).node.log

    def pid_on(self, name: str) -> int | None:
        """Give the process that forks on a node, or what started it there."""
        return next(side.process.pid for side in self._sides if side.node.name == name)

    def run(self, workers: Sequence[tuple[Sequence[str], Path]]) -> None:
        """Start workers, each with locust's arguments and the file for its output."""
        self._begun, self._code, self._failed, self._cause = False, 0, None, None
        for side in self._sides:
            side.process.start()
        for number, side in enumerate(self._sides):
            side.begin(workers, len(self._sides), number)

    def wait(self, seconds: float) -> int | None:
        """Give 0 or the code of the first that failed, -N for signal N, once all have ended."""
        deadline = time.monotonic() + seconds
        while running := [side for side in self._sides if side.runs]:
            left = max(0.0, deadline - time.monotonic())
            heard = [side for side in running if side.has_said]
            if not heard:
                heard, _, _ = select.select(running, [], [], left)
            if not heard:
                return None
            for side in heard:
                self._hear(side)
        if self._begun and self._failed is None:
            self._begun = False
            with suppress(ConnectionError, TimeoutError):  # then the drift is not known
                for side in self._sides:
                    side.after = side.read_clock()
        return self._code

    def describe(self, code: int) -> str:
        """Say in words how they failed, and on which node."""
        where = "" if self._failed is None else f" on {self._failed.node.name}"
        return f"the load generator{where} {self._cause or ending(code)}"

    def nodes(self) -> list[dict[str, Any]]:
        """Say of each node which workers it had, on which CPUs, and how its clock stood."""
        known = [side.before for side in self._sides if side.before is not None]
        told: list[dict[str, Any]] = [{} for _ in self._sides]
        if len(known) == len(self._sides):
            told = clocks.compared(known, [side.after for side in self._sides])
        return [
            {"node": side.node.name, "workers": side.workers, "cpus": list(side.node.cpus or ())}
            | clock
            for side, clock in zip(self._sides, told, strict=True)
        ]

    def stop(self) -> None:
        """End workers that still run: they write what they have, or else are killed."""
        if any(side.runs for side in self._sides):
            self._stop_all()
            if self.wait(STOP_SECONDS) is None:
                self.close()

    def close(self) -> None:
        """End the processes of all nodes, and load generators with them."""
        for side in self._sides:
            side.process.hang_up()
        for side in self._sides:
            side.runs = False
            side.process.close()

    def _hear(self, side: _Side) -> None:
        try:
            answers = side.answers()
        except ConnectionError:
            self._lose(side, side.process.end())
            return
        for answer in answers:
            if "ready" in answer:
                side.ready = True
                if all(other.ready for other in self._sides if other.runs):
                    self._set_epoch()
            elif "ended" in answer:
                side.runs = False
                if code := int(answer["ended"]):
                    self._lose(side, code)
                elif not self._begun:
                    self._lose(side, 1, "ended before the step began")

    def _set_epoch(self) -> None:
        """Tell every node when the step begins, in its own clock."""
        readings = []
        for side in self._sides:
            try:
                side.before = side.read_clock()
            except ConnectionError:
                return  # which is heard next
            except TimeoutError:
                side.process.close()
                cause = f"did not say within {_CLOCK_SECONDS:g} s what the clock shows"
                self._lose(side, 1, cause)
                return
            readings.append(side.before)
        at = time.perf_counter() + LEAD_SECONDS
        for side, epoch in zip(self._sides, clocks.epochs(readings, at), strict=True):
            side.process.order({"epoch": [epoch.at, epoch.unix_offset]})
        self._begun = True

    def _lose(self, side: _Side, code: int, cause: str | None = None) -> None:
        """End the step for all: what the others could still measure is half a step."""
        side.runs = False
        if self._failed is None:
            self._failed, self._code, self._cause = side, code, cause
            self._stop_all()

    def _stop_all(self) -> None:
        for side in self._sides:
            if side.runs:
                side.process.order({"stop": True})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
