"""Which models go on which GPUs: a pure function of their sizes.

A model goes on one GPU where it fits; one that no GPU can hold alone is cut into equal parts over
2, 4, 8, … of them (tensor parallelism); what then has no place runs from the host's memory. Each GPU
keeps a share of its memory free. Of all placements the one is chosen that, in this order, has the
most models on GPUs, the most bytes on GPUs, the fewest GPUs in use, and the largest free share on
the fullest GPU.

The search is a branch and bound that begins with first-fit decreasing (Johnson 1973), so that its
answer is never worse; it is optimal when it ends by itself, which it does for some ten models on
eight GPUs, and says so.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HEADROOM = 0.2
"""Share of each GPU's memory that stays free."""
MOST_NODES = 200_000
"""Steps after which the search gives the best that it found: some seconds."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU to place models on.

    Parameters
    ----------
    name
        What it is called in the answer.
    total_bytes, used_bytes
        Its memory, and what of it is taken already.
    """

    name: str
    total_bytes: int
    used_bytes: int = 0

    def room(self, headroom: float) -> int:
        """Give the bytes that models may take, so that the headroom stays free."""
        kept = -int(-self.total_bytes * headroom // 1)
        return max(0, self.total_bytes - kept - self.used_bytes)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where each model goes.

    Parameters
    ----------
    on
        Names of the GPUs of each model that is on some: one, or several that share it evenly.
    offloaded
        Models that run from the host's memory.
    nowhere
        Models that fit neither on GPUs nor into the host's memory.
    free_bytes
        What is left of each GPU, its headroom included.
    optimal
        Whether no better placement exists; else it is the best that was found in time.
    """

    on: Mapping[str, tuple[str, ...]]
    offloaded: tuple[str, ...]
    nowhere: tuple[str, ...]
    free_bytes: Mapping[str, int]
    optimal: bool

    @property
    def strategy(self) -> str:
        """Say it in a few words: "one GPU", "2 GPUs", "CPU offload"."""
        if self.nowhere:
            return "not all can be placed"
        if self.offloaded:
            return "CPU offload"
        used = {name for names in self.on.values() for name in names}
        return "one GPU" if len(used) == 1 else f"{len(used)} GPUs" if used else "nothing to place"


_Choice = tuple[int, ...]
"""Numbers of the GPUs of a model; () is none."""
_Score = tuple[int, int, int, float]
"""What is compared: models and bytes on GPUs, minus the GPUs in use, smallest free share."""


def place(
    models: Mapping[str, int],
    cards: Sequence[Card],
    *,
    headroom: float = HEADROOM,
    host_bytes: int | None = None,
    most_nodes: int = MOST_NODES,
) -> Placement:
    """Place models.

    Parameters
    ----------
    models
        Bytes that each model takes, by its name. Their order does not matter.
    cards
        The GPUs; none is allowed.
    headroom
        Share of each GPU's memory that stays free, 0 to below 1.
    host_bytes
        Memory of the host for what is offloaded, the smallest models first; None: as much as needed.
    most_nodes
        Steps of the search.

    Raises
    ------
    InputError
        When a size, the headroom or the memory of a GPU can't be used.
    """
    _check(models, cards, headroom)
    search = _Search(models, cards, headroom, most_nodes)
    chosen = search.best()
    on = {name: tuple(cards[number].name for number in numbers) for name, numbers in chosen.items()}
    left = sorted((models[name], name) for name in models if not chosen[name])
    offloaded: list[str] = []
    nowhere: list[str] = []
    taken = 0
    for size, name in left:
        taken += size
        (offloaded if host_bytes is None or taken <= host_bytes else nowhere).append(name)
    return Placement(
        on={name: on[name] for name in sorted(on) if on[name]},
        offloaded=tuple(sorted(offloaded)),
        nowhere=tuple(sorted(nowhere)),
        free_bytes={card.name: free for card, free in zip(cards, search.free(chosen), strict=True)},
        optimal=search.finished,
    )


def first_fit_decreasing(
    models: Mapping[str, int], cards: Sequence[Card], headroom: float = HEADROOM
) -> dict[str, tuple[str, ...]]:
    """Place the largest model first, each on the first GPU (or GPUs) that can hold it; () is none."""
    search = _Search(models, cards, headroom, 0)
    return {
        name: tuple(cards[number].name for number in numbers)
        for name, numbers in search.first_fit().items()
    }


@dataclass
class _Search:
    models: Mapping[str, int]
    cards: Sequence[Card]
    headroom: float
    nodes: int
    finished: bool = True
    _names: list[str] = field(init=False)
    _room: list[int] = field(init=False)
    _best: dict[str, _Choice] = field(init=False)
    _score: _Score = field(init=False)

    def __post_init__(self) -> None:
        self._names = sorted(self.models, key=lambda name: (-self.models[name], name))
        self._room = [card.room(self.headroom) for card in self.cards]

    def best(self) -> dict[str, _Choice]:
        """Give the GPUs of each model."""
        self._best = self.first_fit()
        self._score = self.score(self._best)
        self._descend({}, list(self._room))
        return self._best

    def first_fit(self) -> dict[str, _Choice]:
        room, chosen = list(self._room), {}
        for name in self._names:
            chosen[name] = next(self._choices(self.models[name], room), ())
            self._take(room, self.models[name], chosen[name])
        return chosen

    def score(self, chosen: Mapping[str, _Choice]) -> _Score:
        """Judge a placement, or as much of one as there is."""
        on = [name for name, numbers in chosen.items() if numbers]
        used = {number for numbers in chosen.values() for number in numbers}
        shares = [
            free / card.total_bytes
            for card, free in zip(self.cards, self.free(chosen), strict=True)
        ]
        return (
            len(on),
            sum(self.models[name] for name in on),
            -len(used),
            min(shares, default=1.0),
        )

    def free(self, chosen: Mapping[str, _Choice]) -> list[int]:
        """Give what is left of each GPU."""
        free = [card.total_bytes - card.used_bytes for card in self.cards]
        for name, numbers in chosen.items():
            self._take(free, self.models[name], numbers)
        return free

    def _descend(self, chosen: dict[str, _Choice], room: list[int]) -> None:
        """Try every place of the next model that could still lead to something better."""
        if len(chosen) == len(self._names):
            if (score := self.score(chosen)) > self._score:
                self._best, self._score = dict(chosen), score
            return
        if self.nodes <= 0:
            self.finished = False
            return
        self.nodes -= 1
        if self._at_most(chosen, room) <= self._score:
            return
        name = self._names[len(chosen)]
        for numbers in (*self._distinct(self.models[name], room), ()):
            chosen[name] = numbers
            after = list(room)
            self._take(after, self.models[name], numbers)
            self._descend(chosen, after)
            del chosen[name]

    def _at_most(self, chosen: Mapping[str, _Choice], room: list[int]) -> _Score:
        """Bound what can come of a beginning: every model that is left finds a place, if room is."""
        count, size, used, share = self.score(chosen)
        left, space = self._names[len(chosen) :], sum(room)
        fitting, taken = 0, 0
        for name in reversed(left):  # the smallest first: the most that can be
            taken += self.models[name]
            if taken > space:
                break
            fitting += 1
        total = sum(self.models[name] for name in left)
        return count + fitting, size + min(total, space), used, share

    def _distinct(self, size: int, room: list[int]) -> Iterator[_Choice]:
        """Give the places of a model; of GPUs that are alike in all that counts, the first ones."""
        seen = set()
        for numbers in self._choices(size, room):
            kinds = tuple(
                sorted(
                    (self.cards[n].total_bytes, self.cards[n].used_bytes, room[n]) for n in numbers
                )
            )
            if kinds not in seen:
                seen.add(kinds)
                yield numbers

    def _choices(self, size: int, room: Sequence[int]) -> Iterator[_Choice]:
        """Give the GPUs, or sets of them, that have room; sets only for what no GPU holds alone."""
        if any(size <= whole for whole in self._room):
            yield from ((number,) for number, free in enumerate(room) if size <= free)
            return
        parts = 2
        while parts <= len(room):
            each = -(-size // parts)
            if sum(each <= whole for whole in self._room) >= parts:
                fitting = [number for number, free in enumerate(room) if each <= free]
                yield from itertools.combinations(fitting, parts)
                return
            parts *= 2

    @staticmethod
    def _take(room: list[int], size: int, numbers: _Choice) -> None:
        for number in numbers:
            room[number] -= -(-size // len(numbers))


def _check(models: Mapping[str, int], cards: Sequence[Card], headroom: float) -> None:
    if not 0 <= headroom < 1:
        raise InputError(
            f"headroom: expected a share from 0 to below 1, as in 0.2, not {headroom}."
        )
    for name, size in models.items():
        if size < 0:
            raise InputError(f"model {name}: its size is {size} bytes; expected 0 or more.")
    names = [card.name for card in cards]
    if len(set(names)) < len(names):
        raise InputError(f"GPUs: two have the same name: {', '.join(names)}.")
    for card in cards:
        if card.total_bytes <= 0 or not 0 <= card.used_bytes <= card.total_bytes:
            raise InputError(
                f"GPU {card.name}: {card.used_bytes} of {card.total_bytes} bytes are used; expected "
                "memory above 0, and at most as much of it used."
            )
