"""What a step was loaded with: a rate, a number in flight, or samples sent at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Mapping

RATE, CONCURRENCY, SAMPLES = "target_qps", "concurrency", "samples"
_OTHERS = (CONCURRENCY, SAMPLES)
HIDES = "a closed loop hides queueing"
PILE = "sent at once, a latency is the time in the pile"


@dataclass(frozen=True)
class Level:
    """The place of a step on its ladder.

    Attributes
    ----------
    name
        What the number is: RATE (in 1/s), CONCURRENCY (queries in flight) or SAMPLES.
    value
        The number; NaN when it is not known.
    together
        Samples of a query in a closed loop, else 1.
    """

    name: str
    value: float
    together: int = 1

    @property
    def closed(self) -> bool:
        """Whether the service itself sets the rate, in a closed loop."""
        return self.name == CONCURRENCY

    @property
    def at_once(self) -> bool:
        """Whether everything was sent together."""
        return self.name == SAMPLES

    @property
    def qps(self) -> float:
        """Rate asked for, in 1/s; NaN where there is none."""
        return self.value if self.name == RATE else math.nan

    @property
    def columns(self) -> dict[str, Any]:
        """The level as a row of verdicts.json has it."""
        known = finite(self.value)
        return {RATE: known} if self.name == RATE else {RATE: None, self.name: known}

    @property
    def words(self) -> str:
        """The level in a sentence."""
        if self.closed:
            things = f" quer{'y' if self.value == 1 else 'ies'} of {self.together} samples"
            return f"closed loop, {self.value:g}{things if self.together > 1 else ''} in flight"
        return f"{self.value:g} samples at once" if self.at_once else f"{self.value:g} requests/s"


NO_LEVEL = Level(RATE, math.nan)


def level_of(row: Mapping[str, Any]) -> Level:
    """Give the level of a step's outcome, or of a verdict on it."""
    name = next((name for name in _OTHERS if row.get(name) is not None), RATE)
    value = row.get(name)
    return Level(
        name,
        math.nan if value is None else float(value),
        int(row.get("samples_per_query") or 1),
    )


def foreign(level: Level) -> set[str]:
    """Name the metrics that a load with a rate has and this one does not."""
    return set() if level.name == RATE else {RATE}
