"""A comparison in words: what it comes to, its rows for a table, and Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.comparison import percent, signed
from escalade.analysis.measured.levels import level_of
from escalade.report.texts.markdown import LIMIT
from escalade.report.texts.markdown import escaped as _text
from escalade.report.texts.markdown import folded as _folded
from escalade.report.words import DASH, MINUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = ("deployment", "KPI", "at", "baseline", "candidate", "change, 95 % interval", "verdict")
MOVED = ("worse", "better", "changed")
MARKS = {
    "worse": "🔴",
    "better": "🟢",
    "changed": "🔵",
    "inconclusive": "🟡",
    "not comparable": "⚪",
    "no change shown": "⚫",
}
_EXPLORATORY, _CHANGES, _VALUE = 20, 20, 60
"""Rows of a comment, and characters of a value in it; all of them are in the JSON."""
_UNITS = {"ratio": "", "as noted": "", "1/s": " /s"}


def headline(found: Mapping[str, Any]) -> str:
    """Say in one sentence what the comparison comes to."""
    primary = [row for row in found["kpis"] if row["role"] == "primary"]
    margin = percent(found["threshold"])
    if found["conclusion"] == "regression":
        worse = [row for row in primary if row["verdict"] == "worse"]
        return f"Regression: {_listed(worse)} worse by more than {margin}."
    if found["conclusion"] == "undecided":
        open_ = [row for row in primary if row["verdict"] in ("inconclusive", "not comparable")]
        return f"Undecided: {_listed(open_) or 'there is no primary KPI'}."
    if found["conclusion"] == "not comparable":
        why = "; ".join(dict.fromkeys(w for told in found["deployments"] for w in told["why"]))
        return f"Not comparable: {why}."
    return f"No regression shown: no primary KPI is worse by more than {margin} beyond chance."


def kinds(found: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Sort the rows: primary ones, exploratory ones that moved, and the rest."""
    sorted_: dict[str, list[Mapping[str, Any]]] = {"primary": [], "moved": [], "rest": []}
    for row in found["kpis"]:
        moved = "moved" if row["verdict"] in MOVED else "rest"
        sorted_["primary" if row["role"] == "primary" else moved].append(row)
    return sorted_


def cells_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Give a row of the comparison as texts, in the order of `COLUMNS`."""
    return (
        str(row["deployment"]),
        kpi_of(row),
        level_of(row).words if row["step"] else DASH,
        _number(row["baseline"], row["unit"]),
        _number(row["candidate"], row["unit"]),
        change_of(row),
        str(row["verdict"]),
    )


def kpi_of(row: Mapping[str, Any]) -> str:
    """Name a KPI as kpis.csv does: metric, labels, statistic."""
    label = f"{{{row['label']}}}" if row["label"] else ""
    stat = "" if row["stat"] == "value" else f" {row['stat']}"
    return f"{row['metric']}{label}{stat}"


def change_of(row: Mapping[str, Any]) -> str:
    """Give a change with its interval, as in `+3.1 % [−2 %, +9.6 %]`."""
    if row["scale"] is None:
        return DASH
    if row["scale"] == "ratio":
        point, low, high = (
            "beyond measure" if end is None else signed(end - 1)
            for end in (row["effect"], row["ci_low"], row["ci_high"])
        )
    else:
        point, low, high = (
            "beyond measure" if end is None else f"{end:+.3g}".replace("-", MINUS)
            for end in (row["effect"], row["ci_low"], row["ci_high"])
        )
    if row["ci_low"] is None and row["ci_high"] is None:
        return f"{point}, no interval"
    return f"{point} [{low}, {high}]"


def context(found: Mapping[str, Any]) -> list[str]:
    """Say what was compared with what, and by which rule."""
    sides = [
        f"{side} {found[side]['campaign']} ({_origin(found[side])})"
        for side in ("baseline", "candidate")
    ]
    count = len(found["primary"])
    return [
        " against ".join(sides),
        (
            f"primary: {', '.join(found['primary']) or 'none'}. A change counts when its 95 % interval "
            f"excludes none, p{' (Holm, all primary tests)' * (count > 0)} is at most 5 %, and it is more than "
            f"{percent(found['threshold'])} of the baseline. All other KPIs are exploratory: of a hundred "
            "that did not change, some seem to."
        ),
    ]


def markdown(found: Mapping[str, Any]) -> str:
    """Write a comparison as a comment on a pull request."""
    rows = kinds(found)
    mark = {"regression": "🔴", "no regression shown": "🟢"}.get(found["conclusion"], "🟡")
    parts = [f"### {mark} {_text(headline(found))}", _text(context(found)[0])]
    if rows["primary"]:
        parts.append(_table(rows["primary"]))
        parts.append(
            "\n".join(f"- {_text(kpi_of(row))}: {_text(row['reason'])}" for row in rows["primary"])
        )
    parts += [_deployment(told) for told in found["deployments"]]
    if rows["moved"]:
        inner = _table(rows["moved"][:_EXPLORATORY])
        parts.append(
            _folded(
                f"Exploratory: {len(rows['moved'])} of {len(rows['moved']) + len(rows['rest'])} other KPIs moved",
                inner + _more(len(rows["moved"]) - _EXPLORATORY),
            )
        )
    parts.append(f"<sub>{_text(context(found)[1])}</sub>")
    text = "\n\n".join(part for part in parts if part) + "\n"
    if len(text) > LIMIT:
        text = text[:LIMIT].rsplit("\n", maxsplit=1)[0] + "\n\n… cut: the JSON has all.\n"
    return text


def _deployment(told: Mapping[str, Any]) -> str:
    name = _text(told["deployment"])
    if not told["comparable"]:
        return f"**{name}** is not comparable: {_text('; '.join(told['why']))}."
    notes = [
        f"- step {step['step']} ({level_of(step).words}): {step['why']}" for step in told["steps"]
    ]
    changed = told["changes"]
    lines = [
        f"- {_text(each['what'])}: {_text(short(each['baseline']))} → {_text(short(each['candidate']))}"
        for each in changed[:_CHANGES]
    ]
    folded = _folded(
        f"{name}: {len(changed)} possible causes", "\n".join(lines) + _more(len(changed) - _CHANGES)
    )
    return "\n\n".join(part for part in ("\n".join(notes), folded if changed else "") if part)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| | {' | '.join(COLUMNS)} |", "|" + "---|" * (len(COLUMNS) + 1)]
    lines += [
        f"| {MARKS[row['verdict']]} | {' | '.join(_text(cell) for cell in cells_of(row))} |"
        for row in rows
    ]
    return "\n".join(lines)


def _more(count: int) -> str:
    return f"\n\n… and {count} more, in the JSON" if count > 0 else ""


def _listed(rows: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{kpi_of(row)}{f' at {level_of(row).words}' if row['step'] else ''} ({row['deployment']})"
        for row in rows
    )


def _origin(side: Mapping[str, Any]) -> str:
    commit = side["commit"]
    parts = [f"{side['cells']} cells", f"Escalade {side['escalade']}" if side["escalade"] else ""]
    return ", ".join(part for part in (*parts, f"commit {commit[:8]}" if commit else "") if part)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return DASH
    return f"{value:.4g}{_UNITS.get(unit, f' {unit}')}"


def short(text: str) -> str:
    """Cut a long value of something that changed."""
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
