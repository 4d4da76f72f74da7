"""Watches the headroom of GPUs, and has a loader give models back until it is there again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from escalade.gpu.cards import live_cards
from escalade.gpu.headroom import Engine, Judged, judge, least_used
from escalade.models.engines import asked, use_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from escalade.models.standing import Board, Standing

CACHE = "kv_cache_usage_ratio"
_UNLOAD_SECONDS = 60.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Look:
    """The GPUs at one moment.

    Parameters
    ----------
    at
        Unix seconds.
    gpus
        Each of them, judged.
    unload_first
        Model to unload first, where a GPU fails on which a loader holds some; else None.
    why_first
        Why that one; "" without one.
    """

    at: float
    gpus: tuple[Judged, ...]
    unload_first: str | None = None
    why_first: str = ""

    @property
    def failing(self) -> list[Judged]:
        """GPUs without their headroom."""
        return [gpu for gpu in self.gpus if gpu.outcome == "FAIL"]


@dataclass
class Watch:
    """Looks at the GPUs that are visible here.

    Parameters
    ----------
    headroom
        Share that is to be free.
    engines
        Engines that reserve memory, besides those of the loader.
    board
        Of a loader, whose models may be unloaded.
    """

    headroom: float
    engines: Sequence[Engine]
    board: Board
    unloaded: list[str] = field(default_factory=list)

    def look(self) -> Look:
        """Judge all GPUs now.

        Raises
        ------
        InfrastructureError
            When there is no GPU, or one can't be read.
        """
        standing = self.board.read()
        engines = [asked(engine) for engine in (*self.engines, *_reserving(standing))]
        gpus = tuple(judge(live_cards(), engines, self.headroom))
        name, why = _first(standing, gpus)
        return Look(time.time(), gpus, name, why)

    def unload(self, name: str) -> bool:
        """Have the loader give a model back, and wait for it; False when it does not."""
        self.board.ask(name)
        deadline = time.monotonic() + _UNLOAD_SECONDS
        while time.monotonic() < deadline:
            standing = self.board.read()
            if standing is None or name not in {head.name for head in standing.heads}:
                self.unloaded.append(name)
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def looks(self, seconds: float, interval: float) -> Iterator[Look]:
        """Look every `interval` seconds for so many seconds, at least once."""
        end = time.monotonic() + seconds
        while True:
            began = time.monotonic()
            yield self.look()
            if began + interval > end:
                return
            time.sleep(max(0.0, began + interval - time.monotonic()))


def _reserving(standing: Standing | None) -> list[Engine]:
    """Give the engines of a loader that reserve their memory."""
    if standing is None or standing.gpu is None:
        return []
    return [
        Engine(head.metrics_url, (standing.gpu,))
        for head in standing.heads
        if head.metrics_url and CACHE in (head.metric_names or {})
    ]


def _first(standing: Standing | None, gpus: Sequence[Judged]) -> tuple[str | None, str]:
    failing = {gpu.name for gpu in gpus if gpu.outcome == "FAIL"}
    if standing is None or standing.gpu not in failing:
        return None, ""
    use = use_of(standing.heads)
    name = least_used(use)
    if name is None:
        return None, ""
    if None in use.values():
        return name, "loaded last, and so of the least priority; not all servers count requests"
    return name, f"used least: {use[name]:.0f} since it was loaded"
