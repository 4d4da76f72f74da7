"""What every simulation of this folder gives: rows of a table, each a claim with what was reached."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escalade.analysis.stats.intervals import Estimate

COVERS = 0.945
"""Wanted of intervals on independent data."""
COVERS_DEPENDENT = 0.90
"""Wanted of intervals on requests that depend on each other, near saturation."""


@dataclass(frozen=True)
class Run:
    """How a simulation is carried out: `runs` repetitions of each case, drawn from `seed`."""

    runs: int
    seed: int

    def rng(self, case: str) -> np.random.Generator:
        """Give the random numbers of one case, whatever other cases are simulated."""
        return np.random.default_rng((self.seed, zlib.crc32(case.encode())))


@dataclass(frozen=True)
class Row:
    """One line: what was tried, how often it came out right, and what was wanted.

    Attributes
    ----------
    case
        What was simulated.
    share
        Part of the runs in which it came out so.
    wanted
        Least share, or with `at_most` the largest; None: it is told, not demanded.
    runs
        Number of runs.
    more
        Further figures, in words.
    """

    case: str
    share: float
    wanted: float | None
    runs: int
    more: str = ""
    at_most: bool = False

    @property
    def deviation(self) -> float:
        """Standard error of the share."""
        return math.sqrt(max(self.share * (1 - self.share), 1e-9) / self.runs)

    @property
    def reached(self) -> bool:
        """Whether it is as wanted, within two standard errors of the simulation."""
        if self.wanted is None:
            return True
        short = self.share - self.wanted if self.at_most else self.wanted - self.share
        return short <= 2 * self.deviation


@dataclass(frozen=True)
class Claim:
    """A claim with the function that simulates it; `runs` at full length, a tenth with --quick."""

    name: str
    title: str
    simulate: Callable[[Run], Sequence[Row]]
    runs: int


@dataclass
class Covered:
    """Counts in how many runs intervals hold the truth, and how wide they are."""

    truth: float
    hits: int = 0
    runs: int = 0
    bounded: int = 0
    widths: list[float] = field(default_factory=list)

    def add(self, found: Estimate) -> None:
        """Count one interval; an infinite end holds all beyond. One that is absent holds nothing."""
        self.runs += 1
        self.hits += found.low <= self.truth <= found.high
        if math.isfinite(found.low) and math.isfinite(found.high):
            self.bounded += 1
            self.widths.append((found.high - found.low) / abs(self.truth))

    def row(self, case: str, wanted: float | None) -> Row:
        """Make the line: coverage, median width over the truth, share with both ends."""
        width = f"{100 * float(np.median(self.widths)):.3g} %" if self.widths else "–"
        more = f"width {width}"
        if self.bounded < self.runs:
            more += f", both ends in {100 * self.bounded / self.runs:.0f} %"
        return Row(case, self.hits / self.runs, wanted, self.runs, more)


def table(rows: Sequence[Row]) -> str:
    """Write rows as markdown."""
    lines = ["| case | reached | wanted | runs | |", "|---|---|---|---|---|"]
    for row in rows:
        wanted = (
            "–" if row.wanted is None else f"{'≤' if row.at_most else '≥'} {100 * row.wanted:g} %"
        )
        mark = "" if row.reached else " **missed**"
        lines.append(
            f"| {row.case} | {100 * row.share:.1f} %{mark} | {wanted} | {row.runs} | {row.more} |"
        )
    return "\n".join(lines)
