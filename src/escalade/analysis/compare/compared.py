"""Two campaigns compared: every KPI of every step of every deployment, and what follows for a release.

Primary KPIs decide; all others are exploratory and say so: among hundreds of figures some differ by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from escalade.analysis.compare.comparability import changes, hardware_of, why_not, workload_hash
from escalade.analysis.compare.comparison import MARGIN, METHOD
from escalade.analysis.compare.comparison_rows import Row, judge_rows, row_of, told_of
from escalade.analysis.compare.primary import CAPACITIES
from escalade.analysis.compare.repeated import WHOLE, Figure, Place, Repeated, Values, repeated
from escalade.analysis.measured.levels import NO_LEVEL
from escalade.analysis.stats.sample_floors import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from escalade.analysis.compare.derived import Derived
    from escalade.analysis.compare.primary import Primary
    from escalade.analysis.measured.levels import Level

Conclusion = Literal["regression", "no regression shown", "undecided", "not comparable"]

SCHEMA = 1
EXIT_CODES: dict[Conclusion, int] = {
    "no regression shown": 0,
    "regression": 1,
    "not comparable": 2,
    "undecided": 4,
}


@dataclass(frozen=True)
class Side:
    """One campaign of a comparison: its provenance, and what was derived from its cells."""

    provenance: Mapping[str, Any]
    cells: Sequence[Derived]

    @property
    def deployments(self) -> dict[str, list[Derived]]:
        """Its cells by deployment, in order of appearance; repetitions ascending."""
        groups: dict[str, list[Derived]] = {}
        for each in self.cells:
            groups.setdefault(each.cell.deployment, []).append(each)
        return {
            name: sorted(group, key=lambda each: each.cell.repetition)
            for name, group in groups.items()
        }

    @property
    def row(self) -> dict[str, Any]:
        """What the comparison says of the campaign."""
        software, source = (self.provenance.get(key) or {} for key in ("software", "source"))
        began = [each.cell.cell.get("started_at") for each in self.cells]
        known = [float(at) for at in began if at is not None]
        return {
            "campaign": self.provenance.get("campaign"),
            "cells": len(self.cells),
            "started_at": min(known) if known else None,
            "escalade": software.get("escalade"),
            "commit": source.get("commit"),
        }


def compare(
    baseline: Side,
    candidate: Side,
    primary: Sequence[Primary],
    margin: float = MARGIN,
) -> dict[str, Any]:
    """Compare two campaigns whose KPIs were derived with the same objectives and the same code.

    Parameters
    ----------
    baseline, candidate
        What was, and what is to be judged.
    primary
        The KPIs that decide, at most three; of every deployment.
    margin
        The practical margin, as a share of the baseline.

    Returns
    -------
    dict
        Content of the comparison as JSON: schema, conclusion, exit_code, what was compared with
        what, `deployments` (comparable or why not, and what changed) and `kpis`, primary ones first.
    """
    rows: list[Row] = []
    deployments = []
    for name, before, after in _pairs(baseline, candidate):
        told, found = _deployment(name, (before, baseline), (after, candidate), primary)
        deployments.append(told)
        rows += found
    judge_rows(rows, margin)
    rows.sort(key=lambda row: not row.primary)
    comparable = any(told["comparable"] for told in deployments)
    conclusion = _concluded([row for row in rows if row.primary], comparable=comparable)
    return {
        "schema": SCHEMA,
        "conclusion": conclusion,
        "exit_code": EXIT_CODES[conclusion],
        "threshold": margin,
        "level": ALPHA,
        "method": METHOD,
        "primary": [each.words for each in primary],
        "baseline": baseline.row,
        "candidate": candidate.row,
        "deployments": deployments,
        "kpis": [told_of(row) for row in rows],
    }


def _pairs(baseline: Side, candidate: Side) -> list[tuple[str, list[Derived], list[Derived]]]:
    """Pair deployments by name; the only one of each side is a pair whatever its name."""
    before, after = baseline.deployments, candidate.deployments
    if len(before) == len(after) == 1:
        (old, mine), (new, other) = *before.items(), *after.items()
        return [(new if old == new else f"{old} → {new}", mine, other)]
    names = [*before, *(name for name in after if name not in before)]
    return [(name, before.get(name, []), after.get(name, [])) for name in names]


def _deployment(
    name: str,
    baseline: tuple[Sequence[Derived], Side],
    candidate: tuple[Sequence[Derived], Side],
    primary: Sequence[Primary],
) -> tuple[dict[str, Any], list[Row]]:
    before, after = ([each.cell for each in side[0]] for side in (baseline, candidate))
    told: dict[str, Any] = {
        "deployment": name,
        "repetitions": {"baseline": len(before), "candidate": len(after)},
    }
    if not before or not after:
        where = "baseline" if before else "candidate"
        why = [f"it is in the {where} alone"]
        rows = _refused(name, primary, why[0]) if before else []  # a new one regressed from nothing
        return {**told, "comparable": False, "why": why, "changes": []}, rows
    why = why_not(before, after)
    told |= {
        "comparable": not why,
        "why": why,
        "workload": {"baseline": workload_hash(before), "candidate": workload_hash(after)},
        "hardware": {
            "baseline": hardware_of(before).row,
            "candidate": hardware_of(after).row,
        },
        "changes": changes((before, baseline[1].provenance), (after, candidate[1].provenance)),
    }
    if why:
        return told, _refused(name, primary, "; ".join(why))
    sides = repeated(baseline[0]), repeated(candidate[0])
    told["steps"] = _unmatched(*sides)
    return told, _rows(name, sides, primary)


def _refused(deployment: str, primary: Iterable[Primary], why: str) -> list[Row]:
    """Give the primary KPIs of a deployment that can't be compared."""
    return [
        Row(
            *(deployment, Figure(WHOLE, each.metric, each.stat, each.name), 0, NO_LEVEL),
            *((Values(), Values()), each.words, None, why),
        )
        for each in primary
    ]


def _unmatched(before: Repeated, after: Repeated) -> list[dict[str, Any]]:
    """Name the steps that one side alone has, and those that were asked for otherwise."""
    told = []
    for side, mine, other in (("baseline", before, after), ("candidate", after, before)):
        loads = {place.load for place in other.levels}
        told += [
            {
                "in": side,
                "step": number,
                **level.columns,
                "why": "another warm-up or window"
                if place.load in loads
                else f"in the {side} alone",
            }
            for place, (number, level) in mine.levels.items()
            if place not in other.levels
        ]
    return told


def _rows(
    deployment: str, sides: tuple[Repeated, Repeated], primary: Sequence[Primary]
) -> list[Row]:
    before, after = sides
    common = [place for place in before.levels if place in after.levels]
    figures = dict.fromkeys(
        figure
        for side in sides
        for figure in side.values
        if figure.place == WHOLE or figure.place in common
    )
    order = {place: number for number, place in enumerate([WHOLE, *common])}
    rows = []
    taken: set[str] = set()
    for figure in sorted(figures, key=lambda figure: order[figure.place]):
        found = before.of(figure), after.of(figure)
        if not any(math.isfinite(value) for side in found for value in side.known):
            continue
        number, level = after.levels.get(figure.place, (0, NO_LEVEL))
        words = _words_of(figure, level, primary, len(common))
        taken.add(words)
        rows.append(row_of(deployment, figure, (number, level), found, words))
    return rows + [
        row
        for each in primary
        if each.words not in taken
        for row in _refused(deployment, [each], _why_absent(each, sides, common))
    ]


def _words_of(figure: Figure, level: Level, primary: Sequence[Primary], steps: int) -> str:
    """Give the declaration of a primary KPI that a figure is; "" for an exploratory one."""
    for each in primary:
        here = figure.place == WHOLE or level.value == each.level
        only = math.isnan(each.level) and steps == 1
        named = f'="{each.name}"' in figure.label if each.name else not figure.label
        if (figure.metric, figure.stat) == (each.metric, each.stat) and (here or only) and named:
            return each.words
    return ""


def _why_absent(each: Primary, sides: tuple[Repeated, Repeated], common: Sequence[Place]) -> str:
    if each.metric in CAPACITIES:
        why = [reason for side in sides for reason in side.of(_capacity(each)).left_out]
        return why[0] if why else "no repetition has one"
    levels = [sides[1].levels[place][1] for place in common]
    if not math.isnan(each.level) and each.level not in [level.value for level in levels]:
        known = ", ".join(f"{level.value:g}" for level in levels) or "none"
        return f"no step at {each.level:g} that both have; both have {known}"
    if math.isnan(each.level) and len(levels) > 1:
        return f"several steps have it: say which, as in {each.words}@{levels[0].value:g}"
    only = [level.value for level in levels] if math.isnan(each.level) else []
    labels = sorted({figure.label for figure in sides[1].values if figure.metric == each.metric})
    if not each.name and labels and "" not in labels:
        name = labels[0].partition('="')[2].rstrip('"')
        return f"it has rows of {', '.join(labels)}: name one, as in {each.metric}[{name}]"
    whys = [
        why
        for side in sides
        for figure, found in side.values.items()
        for why in found.left_out
        if (figure.metric, figure.stat) == (each.metric, each.stat)
        and (figure.place == WHOLE or side.levels[figure.place][1].value in (each.level, *only))
    ]
    return f"neither side has a value: {whys[0]}" if whys else "neither side has a value"


def _capacity(each: Primary) -> Figure:
    return Figure(WHOLE, each.metric, "value")


def _concluded(primary: Sequence[Row], *, comparable: bool) -> Conclusion:
    words = [row.outcome.word for row in primary]
    if not comparable:
        return "not comparable"
    if "worse" in words:
        return "regression"
    if not words or {"inconclusive", "not comparable"} & set(words):
        return "undecided"
    return "no regression shown"
