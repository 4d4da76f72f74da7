"""The values of every KPI over the repetitions of a deployment, and why some repetitions have none."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from escalade.analysis.capacity.capacity import LOWER_BOUND
from escalade.analysis.compare.primary import CAPACITIES
from escalade.analysis.gates.gate import why_invalid
from escalade.analysis.kpis.catalogue import BY_NAME, LOG
from escalade.analysis.measured.levels import level_of
from escalade.analysis.stats.intervals import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.compare.derived import Derived
    from escalade.analysis.kpis.catalogue import Direction
    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.levels import Level

SECTIONS = frozenset(
    {
        *("Throughput", "Latency", "Tokens", "Answers", "Concurrency", "Service", "Node", "GPU"),
        "Start of the service",
    }
)
"""What tells of the service. Load, client and monitoring are the instrument, which gates judge."""
DIED = "the service died"
_PLACES = ("instance", "uuid", "pod")
"""Labels that are others in every run."""


@dataclass(frozen=True)
class Place:
    """Where a KPI belongs: a step by its load, or the whole cell.

    Attributes
    ----------
    load
        Name and value of the level, samples of a query; empty for the whole cell.
    seconds
        Warm-up and window, as asked for.
    turn
        Counts steps of the same load, from 1.
    """

    load: tuple[str, float, int] | None = None
    seconds: tuple[float, float] = (0.0, 0.0)
    turn: int = 1


WHOLE = Place()


@dataclass(frozen=True)
class Figure:
    """One KPI: what tells its rows apart from those of others, the same in every repetition."""

    place: Place
    metric: str
    stat: str
    label: str = ""

    @property
    def direction(self) -> Direction:
        """Which way is better."""
        return "higher" if self.metric in CAPACITIES else BY_NAME[self.metric].direction

    @property
    def unit(self) -> str:
        """Its unit."""
        return "1/s" if self.metric in CAPACITIES else BY_NAME[self.metric].unit


@dataclass
class Values:
    """The values of one KPI over repetitions.

    Attributes
    ----------
    known
        One value for each repetition that has one; infinite where requests failed or the service
        died, in the worse direction.
    left_out
        Why each other repetition has none.
    caveats
        What the table says of the values.
    above, below
        Rates beyond which a ladder does not tell: the capacity of a repetition lies above (below).
    """

    known: list[float] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    above: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Repeated:
    """All KPIs of a deployment over its repetitions.

    Attributes
    ----------
    levels
        Number and level of every step.
    values
        Of every KPI that a repetition has a row of.
    why
        For every step, why it does not count in a repetition; "" where it does.
    """

    levels: Mapping[Place, tuple[int, Level]]
    values: Mapping[Figure, Values]
    why: Mapping[Place, Sequence[str]]

    def of(self, figure: Figure) -> Values:
        """Give the values of a KPI; where no repetition has a row of it, only dead services count."""
        found = self.values.get(figure)
        if found is None:
            found = Values()
            for why in self.why.get(figure.place, [""]):
                _take(found, figure, None, why)
        return found


class Run(Protocol):
    """One repetition, as values are gathered from it."""

    @property
    def cell(self) -> CellData:
        """As measured."""

    @property
    def kpis(self) -> pd.DataFrame:
        """Its rows of kpis.csv."""

    @property
    def gates(self) -> Sequence[Mapping[str, Any]]:
        """Its rows of the gates."""


def repeated(cells: Sequence[Derived]) -> Repeated:
    """Gather the values of every KPI over the repetitions of one deployment.

    Steps of searches are left out: their rates differ from repetition to repetition.
    """
    levels, values, states = steps_repeated(cells)
    why = {place: [state.why(place) for state in states] for place in levels}
    return Repeated(levels, values | _capacities(cells), why)


def steps_repeated(
    cells: Sequence[Run],
) -> tuple[dict[Place, tuple[int, Level]], dict[Figure, Values], list[State]]:
    """Gather what the tables of the repetitions have: steps, values of every KPI, and the state of each."""
    levels: dict[Place, tuple[int, Level]] = {}
    rows: list[dict[Figure, Mapping[str, Any]]] = []
    for each in cells:
        places = _places(each)
        for number, (place, level) in places.items():
            levels.setdefault(place, (number, level))
        rows.append(dict(_rows(each, {number: place for number, (place, _) in places.items()})))
    figures = dict.fromkeys(figure for found in rows for figure in found)
    values = {figure: Values() for figure in figures}
    states = [State(each) for each in cells]
    for state, found in zip(states, rows, strict=True):
        for figure in figures:
            _take(values[figure], figure, found.get(figure), state.why(figure.place))
    return levels, values, states


def _places(each: Run) -> dict[int, tuple[Place, Level]]:
    if each.cell.search:
        return {}
    load = (each.cell.cell.get("definition") or {}).get("load") or {}
    ladder = load.get("ladder") or []
    found: dict[int, tuple[Place, Level]] = {}
    turns: dict[Place, int] = {}
    for outcome in each.cell.steps:
        number, level = int(outcome["step"]), level_of(outcome)
        asked = ladder[number - 1] if number <= len(ladder) else {}
        warmup = asked.get("warmup_seconds")
        warmup = load.get("warmup_seconds") if warmup is None else warmup
        seconds = float(warmup or 0), float(asked.get("window_seconds") or 0)
        first = Place((level.name, level.value, level.together), seconds)
        turns[first] = turns.get(first, 0) + 1
        found[number] = Place(first.load, seconds, turns[first]), level
    return found


def _rows(each: Run, places: Mapping[int, Place]) -> Iterator[tuple[Figure, Mapping[str, Any]]]:
    seen: dict[Figure, int] = {}
    for row in each.kpis.to_dict("records"):
        metric, number = BY_NAME[str(row["metric"])], int(row["step"])
        place = WHOLE if number == 0 else places.get(number)
        if metric.section not in SECTIONS or place is None:
            continue
        figure = Figure(place, metric.name, str(row["stat"]), _label(str(row["source"])))
        seen[figure] = seen.get(figure, 0) + 1
        if seen[figure] > 1:  # several of a kind, as GPUs of one node: told apart by their order
            figure = Figure(place, metric.name, figure.stat, f"{figure.label}#{seen[figure]}")
        yield figure, {str(key): value for key, value in row.items()}


def _label(source: str) -> str:
    """Give what tells rows of a metric apart, without what is another in every run."""
    _, brace, labels = source.partition("{")
    if not brace:
        return ""
    parts = [part for part in labels.rstrip("}").split(",") if part.split("=")[0] not in _PLACES]
    return ",".join(parts)


class State:
    """Why steps of one repetition have no values that count."""

    def __init__(self, each: Run) -> None:
        failed = each.cell.cell.get("outcome") == "failed"
        self._why: dict[Place, str] = {}
        outcomes = {int(told["step"]): str(told.get("outcome")) for told in each.cell.steps}
        first: dict[int, str] = {}
        for gate in each.gates:
            if gate["invalidates"] and gate["outcome"] in ("fail", "unknown"):
                first.setdefault(int(gate["step"]), _words(gate))
        for number, (place, _) in _places(each).items():
            kind = outcomes[number]
            if kind == "service_failed" or (kind == "not_run" and failed):
                self._why[place] = DIED
            elif number in first:
                self._why[place] = first[number]

    def why(self, place: Place) -> str:
        """Say why nothing of this place counts; empty when it does."""
        return self._why.get(place, "")


def _words(gate: Mapping[str, Any]) -> str:
    if gate["outcome"] == "fail":
        return f"INVALID: {why_invalid(gate)}"
    return f"gate {gate['gate']} could not be checked: {gate['detail']}"


def _take(found: Values, figure: Figure, row: Mapping[str, Any] | None, why: str) -> None:
    """Take one repetition's value, or note why it has none."""
    metric = BY_NAME[figure.metric]
    worst = -math.inf if metric.direction == "higher" else math.inf
    judged = metric.direction != "none" and LOG in metric.source
    if why == DIED and judged:
        found.known.append(worst)
        found.caveats.append(DIED)
        return
    quality = "missing: it has no such row" if row is None else str(row["quality"])
    if why:
        found.left_out.append(why)
    elif row is not None and math.isfinite(float(row["value"])):
        found.known.append(float(row["value"]))
        if quality.startswith("flagged"):
            found.caveats.append(quality.removeprefix("flagged: "))
    elif judged and quality.startswith("not estimable") and quality.endswith(FAILED):
        found.known.append(worst)
        found.caveats.append(quality.removeprefix("not estimable: "))
    else:
        found.left_out.append(quality)


def _capacities(cells: Sequence[Derived]) -> dict[Figure, Values]:
    """Gather the capacities, those that lie beyond the ladder with what is known of them.

    A repetition whose service died is not taken to have more capacity than it has shown.
    """
    found = {name: Values() for name in CAPACITIES}
    for each in cells:
        died = any(str(told.get("outcome")) == "service_failed" for told in each.cell.steps)
        row, slo = each.capacity, each.slo_capacity
        mine = found["capacity_qps"]
        if row["capacity_qps"] is not None:
            mine.known.append(float(row["capacity_qps"]))
        elif row["method"] == LOWER_BOUND and row["ci_low"] is not None:
            mine.known.append(float(row["ci_low"]))
            mine.above += [] if died else [float(row["ci_low"])]
        else:
            mine.left_out.append(str(row["reason"]))
        mine = found["slo_capacity_qps"]
        if math.isfinite(slo.qps):
            mine.known.append(slo.qps)
            mine.above += [slo.qps] if slo.beyond == "above" and not died else []
        elif slo.beyond == "below":
            lowest = min(level_of(told).qps for told in each.cell.steps)
            mine.known.append(lowest)
            mine.below.append(lowest)
        else:
            mine.left_out.append(slo.reason)
    return {Figure(WHOLE, name, "value"): values for name, values in found.items()}
