"""Copies of one service: where each runs, and what it gets of its node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.runtime.allocation import Place

STEP_NAME = "service"
"""Name of the service's step in its allocation; of several copies the first part of their names."""

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class Share:
    """One copy of a service.

    Parameters
    ----------
    number, of
        Which copy of how many, from 1.
    place
        Its node.
    cpus
        Logical CPUs of its node that it runs on.
    gpus
        GPUs of its node that it sees; None: all of them.
    """

    number: int
    of: int
    place: Place
    cpus: tuple[int, ...]
    gpus: tuple[str, ...] | None = None

    @property
    def step(self) -> str:
        """Name of its step."""
        return STEP_NAME if self.of == 1 else f"{STEP_NAME}-{self.number}"

    @property
    def words(self) -> str:
        """What a sentence calls it."""
        return called(self.number, self.of)

    @property
    def gpu_count(self) -> int:
        """Number of GPUs that it sees."""
        return len(self.place.gpus if self.gpus is None else self.gpus)


def called(number: int, of: int) -> str:
    """Name a copy in a sentence: "the service", or "replica 2 of the service"."""
    return "the service" if of == 1 else f"replica {number} of the service"


def shares(
    places: Sequence[Place], count: int, gpus: Mapping[str, Sequence[str]] | None = None
) -> list[Share]:
    """Give each copy a node, and its part of it.

    Copies go to the nodes in turn. Those of one node get equal parts of its CPUs, and of its
    GPUs, side by side; what does not divide stays idle, so that copies are alike. Where there are
    fewer CPUs or GPUs than copies, the copies share all of them.

    Parameters
    ----------
    places
        Where the service may run, one for each node.
    count
        Number of copies.
    gpus
        GPUs by node, where the place itself does not name them.
    """
    known = gpus or {}
    found = []
    for number in range(1, count + 1):
        node = (number - 1) % len(places)
        place = places[node]
        beside = len(range(node, count, len(places)))
        nth = (number - 1) // len(places)
        there = tuple(place.gpus) or tuple(known.get(place.node, ()))
        own = part(there, nth, beside) if beside > 1 else there
        found.append(
            Share(
                number,
                count,
                place,
                part(place.cpus, nth, beside),
                own if own != there else None,
            )
        )
    return found


def part(things: tuple[_Thing, ...], nth: int, of: int) -> tuple[_Thing, ...]:
    """Give the nth of so many equal parts; all, where there are fewer than parts."""
    size = len(things) // of
    return things[nth * size : (nth + 1) * size] if size else things
