"""What a paired campaign has shown: sentences on the KPIs that decide, and a table of all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.comparison import percent, signed
from escalade.analysis.measured.levels import level_of
from escalade.analysis.scenarios.pair_verdicts import change_words, counted, worsening_of
from escalade.report import words
from escalade.report.axis import amount
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData


@dataclass(frozen=True)
class PairsSection:
    """The section on pairs."""

    lead: str
    sentences: tuple[str, ...]
    table: Table
    remarks: tuple[str, ...]


def pairs_section(data: ReportData) -> PairsSection | None:
    """Make the section of a paired campaign; None of any other."""
    section = data.verdicts.get("pairs")
    if not section:
        return None
    monitoring = section.get("monitoring")
    primary = [row for row in section["rows"] if row["primary"]]
    tell = _cost if monitoring else _change
    return PairsSection(
        lead=_lead(section),
        sentences=tuple(words.sentence(tell(row, section)) for row in primary),
        table=_table(section["rows"]),
        remarks=tuple(_remarks(section)),
    )


def _lead(section: Mapping[str, Any]) -> str:
    pairs = section["pairs"]
    orders = "".join(str(pair["order"]) for pair in pairs if pair["order"])
    fours = " ".join(orders[at : at + 4] for at in range(0, len(orders), 4))
    baseline, candidate = (words.clean(section[side]) for side in ("baseline", "candidate"))
    return (
        f"{counted(len(pairs))} of runs with the same requests, one right after the other, in the order "
        f"{fours} (A: {baseline}, B: {candidate}). A ratio is {candidate} / {baseline} within a pair; "
        "its value is Hodges and Lehmann's estimate, its 95 % interval and its p are those of "
        "Wilcoxon's signed-rank test, exact."
    )


def _named(row: Mapping[str, Any]) -> str:
    stat = "" if row["stat"] == "value" else f"{row['stat']} "
    return f"{stat}{words.title(row['metric']).lower()} at {amount(level_of(row))}"


def _change(row: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """Say how the candidate differs from the baseline in one KPI."""
    return f"{words.clean(section['candidate'])}: {_named(row)}: {row['verdict']}: {row['reason']}"


def _cost(row: Mapping[str, Any], section: Mapping[str, Any]) -> str:
    """Say what monitoring costs in one KPI."""
    bounded = row["ci_low"] is not None and row["ci_high"] is not None
    if row["verdict"] in ("inconclusive", "not comparable") or not bounded:
        return f"what monitoring costs in {_named(row)} is not decided: {row['reason']}"
    low, value, high = worsening_of(row)
    told = f"{signed(value)}, 95 % [{signed(low)}, {signed(high)}], over {counted(row['pairs'])}"
    p = row["p_adjusted"]
    if p is not None and p <= section["level"] and low > 0:
        size = "more" if value > section["margin"] else "less"
        margin = percent(section["margin"])
        return f"monitoring costs {told} in {_named(row)}: {size} than the margin of {margin}"
    seen = f"a cost over {percent(high)}" if high > 0 else "any cost"
    return f"no cost of monitoring shown in {_named(row)}: {told}; {seen} would have been seen"


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("Step", "KPI", "A", "B", "Change, 95 %", "p", "Pairs", "Verdict", "Why")
    return Table(columns, tuple(_line(row) for row in rows))


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    stat = "" if row["stat"] == "value" else f" {row['stat']}"
    p = row["p_value"] if row["p_adjusted"] is None else row["p_adjusted"]
    name = f"{words.title(row['metric'])}{stat}"
    inner = row["source"].partition("{")[2].removesuffix("}")
    return (
        amount(level_of(row)),
        f"{name} ({words.clean(inner)})" if inner else name,
        *(words.single(known(row[side]), row["unit"]) for side in ("baseline", "candidate")),
        NOTHING if row["ratio"] is None else change_words(row),
        NOTHING if p is None else f"{p:.2g}",
        f"{row['pairs']} of {row['planned']}",
        row["verdict"] if row["primary"] else f"{row['verdict']} (exploratory)",
        words.clean(row["reason"]),
    )


def _remarks(section: Mapping[str, Any]) -> list[str]:
    """Name the pairs that were left out, and what is to be known of others."""
    told: dict[str, list[str]] = {}
    for left in section["left_out"]:
        where = f"{left['repetition']} (step {left['step']})"
        told.setdefault(f"left out: {_short(words.clean(left['why']))}", []).append(where)
    for pair in section["pairs"]:
        for remark in pair["remarks"]:
            told.setdefault(words.clean(remark), []).append(str(pair["repetition"]))
    remarks = [
        words.sentence(f"pair{'s' * (len(where) > 1)} {words.listed(where)}: {what}")
        for what, where in told.items()
    ]
    exploratory = any(not row["primary"] for row in section["rows"])
    return [*remarks, *([_EXPLORATORY] if exploratory else [])]


def _short(why: str) -> str:
    """Name the gates alone, so that pairs can share a line: what each one found is in their table."""
    found = _GATES.findall(why)
    return "; ".join(f"{side}: gate {gate}" for side, gate in found) or why


_GATES = re.compile(r"(?:^|; )([^:;]+): (?:client_limited, )?gate (\w+)")
_EXPLORATORY = (
    "Exploratory KPIs were not declared as primary: of twenty of them one is expected to show a "
    "change where there is none."
)
