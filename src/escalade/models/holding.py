"""Models that are loaded in the order of a plan, held, and given back in reverse order."""

from __future__ import annotations

import secrets
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from escalade.errors import ServiceFailedError
from escalade.models.loading import Loader
from escalade.models.standing import Board, Standing
from escalade.runtime.driver import driving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from escalade.models.heads import Head
    from escalade.models.meters import Meter
    from escalade.services.catalogue import CatalogueModel, ModelCatalogue
    from escalade.services.recipes import Recipe

_LOOK_SECONDS = 0.2
_MEASURE_SECONDS = 5.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked for the end; no `except Exception` on the way may keep it."""


class Holding:
    """One life of the loader.

    Parameters
    ----------
    loader
        What loads and measures.
    board
        Where it tells what is loaded, and is asked to unload.
    profile
        Name of the memory, for `board`.
    meter
        Of `loader`.
    say
        Gets one line for everything that happens.
    """

    def __init__(
        self,
        loader: Loader,
        board: Board,
        profile: str,
        meter: Meter,
        say: Callable[[str], None],
    ) -> None:
        self._loader = loader
        self._board = board
        self._profile = profile
        self._meter = meter
        self._say = say
        self.exceeded = False
        """Whether more was measured than the limit, at any time."""

    @property
    def heads(self) -> list[Head]:
        """What is loaded."""
        return self._loader.heads

    @property
    def taken_bytes(self) -> int:
        """What all models took when it was last measured."""
        return self._loader.taken_bytes

    def load(self, models: Sequence[tuple[CatalogueModel, Recipe]], logs: Path) -> bool:
        """Load models in order; stop, and say so, when what they take exceeds the limit.

        Returns
        -------
        bool
            Whether all were loaded.

        Raises
        ------
        EscaladeError
            When one can't be loaded.
        """
        for model, recipe in models:
            head = self._loader.load(model, recipe, logs)
            self._tell()
            self._say(_loaded(head, self._loader.taken_bytes, self._loader.limit_bytes))
            if self._over():
                return False
        return True

    def hold(self) -> None:
        """Wait until a signal comes: unload what is asked for, notice what ends.

        Raises
        ------
        ServiceFailedError
            When every server has ended by itself.
        """
        measured = time.monotonic()
        while True:
            for name in self._board.asked():
                self._loader.release(name)
                self._changed(f"{name}: given back, as was asked")
            for name, how in self._loader.ended().items():
                self._changed(f"{name}: its server {how}; it is not loaded any more")
                if not self._loader.heads:
                    raise ServiceFailedError("No model is left: every server has ended by itself.")
            if time.monotonic() - measured >= _MEASURE_SECONDS:
                self._loader.measure()
                self._over()
                self._tell()
                measured = time.monotonic()
            time.sleep(_LOOK_SECONDS)

    def give_back(self) -> None:
        """End all servers, the last one loaded first."""
        released = self._loader.release_all()
        self._board.clear()
        if released:
            self._say(f"Given back: {', '.join(released)}.")

    def _changed(self, text: str) -> None:
        self._tell()
        self._say(text)

    def _over(self) -> bool:
        over = self._loader.taken_bytes > self._loader.limit_bytes
        if over and not self.exceeded:
            self._say(
                f"Over the limit: {self._loader.taken_bytes / 1e6:,.0f} MB measured "
                f"({self._meter.method}), {self._loader.limit_bytes / 1e6:,.0f} MB allowed. Correct the "
                "declared memory in the catalogue, or choose a larger profile."
            )
            self.exceeded = True
        return over

    def _tell(self) -> None:
        self._board.tell(
            Standing(
                profile=self._profile,
                limit_bytes=self._loader.limit_bytes,
                gpu=self._meter.gpu,
                taken_bytes=self._loader.taken_bytes,
                method=self._meter.method,
                heads=tuple(self._loader.heads),
            )
        )


@contextmanager
def holding(
    state: Path,
    catalogue: ModelCatalogue,
    profile: str,
    *,
    meter: Meter,
    gpu_bytes: int | None,
    say: Callable[[str], None],
) -> Iterator[Holding]:
    """Frame a loader: what it loaded is given back at the end of the block, however that comes.

    SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the block, and nothing while it ends.

    Parameters
    ----------
    state
        Folder of the loader; one loader at a time.
    catalogue, profile, meter, gpu_bytes
        As `escalade.models.loading.Loader` gets them.
    say
        Gets one line for everything that happens.

    Raises
    ------
    InfrastructureError
        When another loader has the folder, or it can't be written.
    """
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        with driving(state, "loader", f"run-{time.time_ns()}-{secrets.token_hex(2)}") as run:
            loader = Loader(run, catalogue, profile, meter, gpu_bytes)
            held = Holding(loader, Board(state), profile, meter, say)
            try:
                yield held
            finally:
                for number in _ENDING:
                    signal.signal(number, signal.SIG_IGN)
                held.give_back()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    raise Interrupted(number)


def _loaded(head: Head, taken: int, limit: int) -> str:
    return (
        f"{head.name}: ready after {head.ready_seconds or 0:.1f} s on {head.url} ({head.backend}); "
        f"{head.declared_bytes / 1e6:,.0f} MB declared, "
        f"{(head.measured_bytes or 0) / 1e6:,.0f} MB measured; "
        f"together {taken / 1e6:,.0f} of {limit / 1e6:,.0f} MB"
    )
