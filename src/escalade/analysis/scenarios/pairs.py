"""Comparing two deployments pair by pair: the two cells of one repetition are a pair.

They followed each other on the same machine with the same requests, so what their KPIs have in
common cancels in the ratio. The unit is the pair, never the request.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.compare.comparison import MARGIN
from escalade.analysis.kpis.catalogue import BY_NAME, QUEUED
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.kpis.request_kpis import OVER_SATURATED
from escalade.analysis.measured.levels import NO_LEVEL, level_of
from escalade.analysis.scenarios.pair_cells import (
    described,
    monitored_side,
    pairs_of,
    untrusted_steps,
    why_left_out,
)
from escalade.analysis.scenarios.pair_verdicts import decided
from escalade.analysis.stats.pair_sizes import LEVEL
from escalade.analysis.stats.shift import holm
from escalade.analysis.stats.signed_rank import signed_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.levels import Level
    from escalade.analysis.scenarios.pair_cells import Pair
    from escalade.analysis.stats.shift import Shift

COMPARED = ("Throughput", "Latency", "Tokens", "Answers", "Service", "GPU")
"""Sections of the catalogue whose KPIs are compared: those that say what the service did."""
DIRECTIONS = ("higher", "lower")

Name = tuple[str, str, str]
"""Metric, statistic, source."""


@dataclass(frozen=True)
class Question:
    """What a paired campaign asks.

    Attributes
    ----------
    baseline, candidate
        Names of the deployments; a ratio is candidate / baseline.
    primary
        Metric and statistic of the KPIs that decide, one to three.
    step
        Number of the step at which they do.
    margin
        Change, as a ratio, up to which nothing is called better or worse.
    counts
        Whether the answer counts for the exit code.
    """

    baseline: str
    candidate: str
    primary: tuple[tuple[str, str], ...]
    step: int
    margin: float = MARGIN
    counts: bool = False


@dataclass(frozen=True)
class _Found:
    """The ratios of one KPI at one step, and why pairs have none."""

    ratios: Mapping[int, float]
    reasons: Mapping[int, str]
    both: tuple[list[float], list[float]]
    level: Level

    @property
    def shift(self) -> Shift | None:
        if not self.ratios:
            return None
        return signed_rank(np.log([self.ratios[number] for number in sorted(self.ratios)]))


def compare_pairs(
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    gates: Sequence[Mapping[str, Any]],
    question: Question,
) -> dict[str, Any]:
    """Compare the two deployments of a paired campaign.

    Parameters
    ----------
    kpis
        KPI rows of all cells.
    cells
        What was measured; of each deployment one cell per repetition.
    gates
        The gates' rows of verdicts.json.
    question
        Which deployments, which KPIs decide, and where.

    Returns
    -------
    dict
        Section `pairs` of verdicts.json: baseline, candidate, level, margin, step, monitoring, pairs
        (order, time between the two, remarks), left_out (step, repetition, why) and rows: of each step
        and KPI the ratio candidate / baseline with a 95 % interval, p (adjusted by Holm over the
        primary KPIs), verdict and its reason. A pair with a step that is not valid is left out.
    """
    pairs = pairs_of(cells, question.baseline, question.candidate)
    untrusted = untrusted_steps(gates)
    table = _table(kpis, pairs)
    levels = {question.step: NO_LEVEL}
    levels |= {int(told["step"]): level_of(told) for cell in cells for told in cell.steps}
    left_out: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for step, level in sorted(levels.items()):
        why = {pair.repetition: why_left_out(pair, step, untrusted) for pair in pairs}
        left_out += [
            {"step": step, "repetition": number, "why": text}
            for number, text in why.items()
            if text
        ]
        usable = [pair for pair in pairs if why[pair.repetition] is None]
        rows += _rows((step, level), len(pairs), usable, table.get(step, {}), question)
    _adjust(rows, question)
    return {
        "baseline": question.baseline,
        "candidate": question.candidate,
        "level": LEVEL,
        "margin": question.margin,
        "step": question.step,
        "monitoring": monitored_side(pairs),
        "pairs": [described(pair, cells) for pair in pairs],
        "left_out": left_out,
        "rows": [decided(row, question.margin, len(question.primary)) for row in rows],
    }


def _table(
    kpis: pd.DataFrame, pairs: Sequence[Pair]
) -> dict[int, dict[Name, dict[str, tuple[float, str]]]]:
    """Give value and quality by step, name and cell; parts of a step's requests are left out."""
    names = {cell.name for pair in pairs for cell in pair.cells}
    mine = rows_of(kpis[kpis["cell"].isin(names) & (kpis["step"] > 0)])
    columns = ("step", "metric", "stat", "source", "cell", "value", "quality")
    found: dict[int, dict[Name, dict[str, tuple[float, str]]]] = {}
    for step, metric, stat, source, cell, value, quality in zip(
        *(mine[column] for column in columns), strict=True
    ):
        known = BY_NAME.get(str(metric))
        if known is None or known.section not in COMPARED or known.direction not in DIRECTIONS:
            continue
        by_cell = found.setdefault(int(step), {}).setdefault((metric, stat, source), {})
        by_cell[str(cell)] = float(value), str(quality)
    return found


def _rows(
    place: tuple[int, Level],
    planned: int,
    usable: Sequence[Pair],
    there: Mapping[Name, Mapping[str, tuple[float, str]]],
    question: Question,
) -> list[dict[str, Any]]:
    """Make the rows of a step: the primary KPIs first, whether or not they have a value."""
    step, level = place
    primary = list(question.primary) if step == question.step else []
    absent = [kpi for kpi in primary if kpi not in {name[:2] for name in there}]
    names = [*there, *((*kpi, "") for kpi in absent)]
    rows = []
    for name in sorted(names, key=lambda name: _rank(name, primary)):
        found = _found(there.get(name, {}), usable, name, level)
        if found.ratios or name[:2] in primary:
            rows.append(_row(step, name, found, planned, primary=name[:2] in primary))
    return rows


def _rank(name: Name, primary: Sequence[tuple[str, str]]) -> tuple[int, int, int, str]:
    metric, stat, source = name
    place = primary.index(name[:2]) if name[:2] in primary else len(primary)
    return place, list(BY_NAME).index(metric), BY_NAME[metric].stats.index(stat), source


def _found(
    values: Mapping[str, tuple[float, str]], usable: Sequence[Pair], name: Name, level: Level
) -> _Found:
    ratios, reasons = {}, {}
    both: tuple[list[float], list[float]] = [], []
    for pair in usable:
        told = [values.get(cell.name, (math.nan, "missing: no row")) for cell in pair.cells]
        why = [_no_ratio(value, quality, name) for value, quality in told]
        if any(why):
            reasons[pair.repetition] = "; ".join(
                f"{cell.deployment}: {text}"
                for cell, text in zip(pair.cells, why, strict=True)
                if text
            )
            continue
        (before, _), (after, _) = told
        ratios[pair.repetition] = after / before
        both[0].append(before)
        both[1].append(after)
    return _Found(ratios, reasons, both, level)


def _no_ratio(value: float, quality: str, name: Name) -> str | None:
    """Say why a value has no place in a ratio, or None when it has."""
    if name[0] in QUEUED and OVER_SATURATED in quality:
        return OVER_SATURATED
    if math.isnan(value):
        return quality.removeprefix("missing: ")
    if math.isinf(value):
        return "the percentile is among failed requests"
    return "it is 0, and there is no ratio to 0" if value <= 0 else None


def _row(step: int, name: Name, found: _Found, planned: int, *, primary: bool) -> dict[str, Any]:
    metric, stat, source = name
    shift = found.shift
    return {
        "step": step,
        **found.level.columns,
        "metric": metric,
        "stat": stat,
        "source": source,
        "unit": BY_NAME[metric].unit,
        "direction": BY_NAME[metric].direction,
        "primary": primary,
        "pairs": len(found.ratios),
        "planned": planned,
        "baseline": _middle(found.both[0]),
        "candidate": _middle(found.both[1]),
        "ratio": None if shift is None else math.exp(shift.effect),
        "ci_low": None if shift is None else _ratio(shift.low),
        "ci_high": None if shift is None else _ratio(shift.high),
        "spread": _spread(found.ratios),
        "p_value": None if shift is None else shift.p,
        "p_adjusted": None,
        "ratios": [[number, found.ratios[number]] for number in sorted(found.ratios)],
        "without": [[number, found.reasons[number]] for number in sorted(found.reasons)],
    }


def _middle(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _spread(ratios: Mapping[int, float]) -> float | None:
    """Give the standard deviation of the log ratios: how far apart pairs are."""
    logs = np.log([ratios[number] for number in sorted(ratios)])
    return float(logs.std(ddof=1)) if len(logs) > 1 else None


def _ratio(log: float) -> float | None:
    """Give the ratio of a logarithm; None where the interval is open on that side."""
    return math.exp(log) if math.isfinite(log) else None


def _adjust(rows: Sequence[dict[str, Any]], question: Question) -> None:
    """Fill in p_adjusted of the primary KPIs, and what counts."""
    primary = [row for row in rows if row["primary"]]
    adjusted = holm([1.0 if r["p_value"] is None else r["p_value"] for r in primary])
    for row, p in zip(primary, adjusted, strict=True):
        row["p_adjusted"] = None if row["p_value"] is None else p
    for row in rows:
        row["counts"] = question.counts and row["primary"]
