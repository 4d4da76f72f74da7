"""Which numbers of the page a warning or note touches: they carry its number, and it links to them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from escalade.report.words import clean, known

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

WHOLE_CELL = 0
"""As a step: every number of the cell."""


@dataclass(frozen=True)
class Touched:
    """What a warning or note is about.

    Attributes
    ----------
    cell
        Name of the cell; of a bound over a whole deployment the deployment's.
    steps
        Their numbers.
    metrics
        Metrics in these steps; without any all numbers.
    names
        Of these metrics (metric, statistic, label) alone; without any all their rows.
    of
        Figures, else the verdicts on these steps or the upper bounds called as `metrics` say.
    """

    cell: str
    steps: tuple[int, ...]
    metrics: tuple[str, ...] = ()
    names: tuple[tuple[str, str, str], ...] = ()
    of: Literal["figures", "verdicts", "bounds"] = "figures"

    def has(self, metric: str, stat: str | None, label: str | None) -> bool:
        """Say whether it is about a metric, or about one of its rows."""
        if metric not in self.metrics:
            return False
        if not self.names or stat is None:
            return True
        return any((metric, stat) == name[:2] and label in (None, name[2]) for name in self.names)


class Marks:
    """Numbers of warnings and notes by what they touch.

    Parameters
    ----------
    numbered
        Each one's number with what it touches.
    notes
        Numbers of those that are notes: a headline does without them.
    """

    def __init__(
        self, numbered: Iterable[tuple[int, Touched]] = (), notes: Collection[int] = ()
    ) -> None:
        self._notes = frozenset(notes)
        self._by_cell: dict[str, list[tuple[int, Touched]]] = defaultdict(list)
        self._places: dict[tuple[str, int, str], list[tuple[int, Touched]]] = defaultdict(list)
        for number, it in numbered:
            self._by_cell[it.cell].append((number, it))
            for step in it.steps:
                self._places[it.cell, step, it.of].append((number, it))

    def of_cell(self, cell: str) -> tuple[int, ...]:
        """Give those about a cell as a whole."""
        return self.of_step(cell, WHOLE_CELL)

    def of_step(self, cell: str, step: int) -> tuple[int, ...]:
        """Give those about all numbers of a step."""
        return _ordered(n for n, it in self._at(cell, step) if not it.metrics)

    def of_metric(
        self, cell: str, step: int, metric: str, stat: str | None = None, label: str | None = None
    ) -> tuple[int, ...]:
        """Give those about one metric in a step, or about one row of it, and no others."""
        return _ordered(n for n, it in self._at(cell, step) if it.has(metric, stat, label))

    def of_result(
        self, cell: str, step: int, metric: str, stat: str | None = None
    ) -> tuple[int, ...]:
        """Give all that a verdict rests on: of its cell, its step, its metric, and of verdicts."""
        return _ordered(
            [
                *self.of_cell(cell),
                *self.of_step(cell, step),
                *self.of_metric(cell, step, metric, stat),
                *(n for n, _ in self._at(cell, step, "verdicts")),
            ]
        )

    def of_verdict(self, row: Mapping[str, Any], cells: Iterable[str]) -> tuple[int, ...]:
        """Give all that a row of the verdicts rests on; `cells` of one over all repetitions are theirs."""
        step = known(row.get("step"))
        place = int(step) if step == step else WHOLE_CELL  # noqa: PLR0124 - NaN
        of = cells if row.get("cell") is None else (clean(row["cell"]),)
        metric, stat = str(row.get("metric")), str(row.get("stat"))
        return _ordered(n for cell in of for n in self.of_result(cell, place, metric, stat))

    def of_bound(self, of: str, step: int, name: str) -> tuple[int, ...]:
        """Give those about an upper bound of a cell or a deployment."""
        return _ordered(n for n, it in self._at(of, step, "bounds") if name in it.metrics)

    def of_steps(self, cells: Iterable[str]) -> tuple[int, ...]:
        """Give the warnings about whole steps, or the whole, of some cells."""
        numbered = (each for cell in set(cells) for each in self._by_cell.get(cell, ()))
        found = (
            number
            for number, it in numbered
            if not it.metrics and it.of == "figures" and number not in self._notes
        )
        return _ordered(found)

    def _at(self, cell: str, step: int, of: str = "figures") -> Sequence[tuple[int, Touched]]:
        return self._places.get((cell, step, of), ())


def _ordered(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))
