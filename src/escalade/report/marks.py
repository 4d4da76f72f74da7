"""Which numbers of the page a warning touches: they carry its number, and the warning links to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WHOLE_CELL = 0
"""As a step: every number of the cell."""


@dataclass(frozen=True)
class Touched:
    """What a warning is about: steps of a cell, and metrics in them; without metrics all numbers."""

    cell: str
    steps: tuple[int, ...]
    metrics: tuple[str, ...] = ()


class Marks:
    """Numbers of warnings by what they touch.

    Parameters
    ----------
    numbered
        Each warning's number with what it touches.
    """

    def __init__(self, numbered: Iterable[tuple[int, Touched]] = ()) -> None:
        self._by_cell: dict[str, list[tuple[int, Touched]]] = {}
        for number, it in numbered:
            self._by_cell.setdefault(it.cell, []).append((number, it))

    def of_cell(self, cell: str) -> tuple[int, ...]:
        """Give the warnings about a cell as a whole."""
        return self._found(cell, WHOLE_CELL, None)

    def of_step(self, cell: str, step: int) -> tuple[int, ...]:
        """Give the warnings about all numbers of a step."""
        return self._found(cell, step, None)

    def of_metric(self, cell: str, step: int, metric: str) -> tuple[int, ...]:
        """Give the warnings about one metric in a step, and no others."""
        return self._found(cell, step, metric)

    def of_result(self, cell: str, step: int, metric: str) -> tuple[int, ...]:
        """Give every warning that a number rests on: of its cell, its step, and its metric."""
        found = {
            *self.of_cell(cell),
            *self.of_step(cell, step),
            *self.of_metric(cell, step, metric),
        }
        return tuple(sorted(found))

    def of_steps(self, cells: Iterable[str]) -> tuple[int, ...]:
        """Give the warnings about whole steps, or the whole, of some cells."""
        numbered = (each for cell in set(cells) for each in self._by_cell.get(cell, ()))
        found = {number for number, it in numbered if not it.metrics}
        return tuple(sorted(found))

    def _found(self, cell: str, step: int, metric: str | None) -> tuple[int, ...]:
        return tuple(
            number
            for number, it in self._by_cell.get(cell, ())
            if step in it.steps and (metric in it.metrics if metric is not None else not it.metrics)
        )
