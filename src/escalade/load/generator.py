"""The driver's side of the load generator: starts it, here or on another node, and stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from escalade.load.link import STOP_SECONDS, ClientProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Generator(Protocol):
    """What runs the load generators of a step, on one node or on several."""

    @property
    def log(self) -> Path:
        """Says what went wrong outside the workers' own logs."""
        ...

    def run(self, workers: Sequence[tuple[Sequence[str], Path]]) -> None:
        """Start workers, each with locust's arguments and the file for its output."""
        ...

    def wait(self, seconds: float) -> int | None:
        """Give 0 or the code of the first that failed, -N for signal N, once all have ended."""
        ...

    def describe(self, code: int) -> str:
        """Say in words how they failed."""
        ...

    def nodes(self) -> list[dict[str, Any]]:
        """Say of several nodes which workers each had and how their clocks stood; [] of one."""
        ...

    def stop(self) -> None:
        """End workers that still run."""
        ...


class LoadGenerator:
    """Runs the load generator of one step at a time, forked from one process for all of them.

    The process, `escalade.load.client`, is started with the first run, and again when it
    was lost. It ends with the block that this object is the context of.

    Parameters
    ----------
    cpus, log, prefix
        As in `ClientProcess`.
    """

    def __init__(
        self,
        cpus: Sequence[int] | None,
        log: Path,
        prefix: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._process = ClientProcess(cpus, log, prefix)
        self._runs = False

    @property
    def log(self) -> Path:
        """What the process says of itself, and srun where that starts it."""
        return self._process.log

    @property
    def pid(self) -> int | None:
        """Of the process that forks, or of what started it elsewhere; None when there is none."""
        return self._process.pid

    def run(self, workers: Sequence[tuple[Sequence[str], Path]]) -> None:
        """Start workers, each with locust's arguments and the file for its output."""
        self._process.start()
        self._runs = True
        self._process.run(workers)

    def wait(self, seconds: float) -> int | None:
        """Give 0 or the code of the first that failed, -N for signal N, once all have ended.

        None while they run. Where the process that forked them is lost, they are lost with it:
        the code is then that of the process.
        """
        if not self._runs:
            return 0
        try:
            answer = self._process.heard(seconds)
        except ConnectionError:
            self._runs = False
            return self._process.end()
        if answer is None:
            return None
        self._runs = False
        return int(answer["ended"])

    def describe(self, code: int) -> str:
        """Say in words how they failed."""
        return f"the load generator {ending(code)}"

    def nodes(self) -> list[dict[str, Any]]:
        """Give nothing: on one node there is one clock."""
        return []

    def stop(self) -> None:
        """End workers that still run: they write what they have, or else are killed."""
        if self._runs:
            self._process.order({"stop": True})
            if self.wait(STOP_SECONDS) is None:
                self.close()

    def close(self) -> None:
        """End the process, and a load generator with it."""
        self._runs = False
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ending(code: int) -> str:
    """Say how a process ended, to follow what it is."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
