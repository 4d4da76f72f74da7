"""What changed since the baseline: a forest plot, verdicts in words, possible causes, and the table behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.comparison import percent
from escalade.analysis.measured.levels import level_of
from escalade.report import words
from escalade.report.charts.drawing import Chart
from escalade.report.charts.forest import effect_of, forest, named
from escalade.report.sections.identity import moment
from escalade.report.sections.story import Statement
from escalade.report.tables import Table
from escalade.report.texts.comparison import MOVED, change_of, headline, kinds, short
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData

STYLES = {
    "worse": ("fail", "▼"),
    "better": ("pass", "▲"),
    "changed": ("not_run", "◆"),
    "no change shown": ("not_run", "●"),
    "inconclusive": ("inconclusive", "◻"),
    "not comparable": ("not_run", "✕"),
}
"""Colour and sign of each verdict; the signs are the shapes of the plot."""
_DRAWN, _TOGETHER = 12, 6
"""Exploratory KPIs that are drawn, and in one plot; the others that moved are in the table."""
_PARTS = {1: "", 2: ", continued"}
_ROWS, _CAUSES = 150, 12
_PACKAGES = "software.packages."


@dataclass(frozen=True)
class Verdict:
    """What is said about one primary KPI."""

    style: str
    sign: str
    verdict: str
    name: str
    text: str


@dataclass(frozen=True)
class Causes:
    """What else differs, the first ones and the rest."""

    title: str
    shown: Table
    folded: Table


@dataclass(frozen=True)
class ComparisonSection:
    """The section on the comparison; all but `why` and `baseline` empty where there is none."""

    baseline: str
    why: str
    sentences: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    primary: tuple[Chart, ...]
    exploratory: str
    more: tuple[Chart, ...]
    causes: tuple[Causes, ...]
    remarks: tuple[str, ...]
    rest: Table
    left: str

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All its charts."""
        return (*self.primary, *self.more)


def comparison_section(data: ReportData) -> ComparisonSection | None:
    """Make the section; None of a campaign that was held against nothing."""
    told = data.comparison
    if not told:
        return None
    found = told.get("comparison")
    origin = told["baseline"]
    if not found:
        why = words.clean(told.get("why") or "no reason is recorded")
        return ComparisonSection(
            *(
                _place(origin),
                words.sentence(f"No comparison: {why}"),
                (),
                (),
                (),
                "",
                (),
                (),
                (),
                Table((), ()),
                "",
            )
        )
    rows = kinds(found)
    several = len(found["deployments"]) > 1
    margin = float(found["threshold"])
    others = [*rows["moved"], *rows["rest"]]
    return ComparisonSection(
        baseline=_sides(found, origin),
        why="",
        sentences=(_headline(found, rows["primary"], several=several), *_not_comparable(found)),
        verdicts=tuple(_verdict(row, several=several) for row in rows["primary"]),
        primary=_charts("primary", "Primary KPIs", rows["primary"], margin, several=several),
        exploratory=_exploratory(rows),
        more=tuple(
            chart
            for part, start in enumerate(range(0, min(len(rows["moved"]), _DRAWN), _TOGETHER), 1)
            for chart in _charts(
                f"exploratory-{part}",
                f"Exploratory KPIs that moved{_PARTS[part]}",
                rows["moved"][start : start + _TOGETHER],
                margin,
                several=several,
            )
        ),
        causes=tuple(_causes(found)),
        remarks=(*_steps(found), _rule(found)),
        rest=_table(others[:_ROWS], several=several),
        left=f"{len(others) - _ROWS} more are in comparison.json." if len(others) > _ROWS else "",
    )


def since_baseline(data: ReportData) -> list[Statement]:
    """Give the sentence of the summary: what changed since the baseline."""
    section = comparison_section(data)
    if section is None:
        return []
    if section.why:
        return [Statement(section.why)]
    also = " What else differs is listed with the comparison." if section.causes else ""
    return [Statement(f"Since the baseline: {section.sentences[0]}{also}")]


def _place(origin: Mapping[str, Any]) -> str:
    digest = words.clean(origin.get("manifest_sha256") or "")
    hashed = f" (SHA-256 of its manifest {digest})" if digest else ""
    return f"{words.clean(origin.get('path'))}{hashed}"


def _sides(found: Mapping[str, Any], origin: Mapping[str, Any]) -> str:
    before, after = (_side(found[side]) for side in ("baseline", "candidate"))
    return f"Baseline: {_place(origin)}, {before}. Judged: this campaign, {after}."


def _side(side: Mapping[str, Any]) -> str:
    commit = words.clean(side["commit"] or "")[:12]
    parts = (
        words.counted(int(side["cells"]), "cell"),
        moment(known(side["started_at"])),
        f"Escalade {words.clean(side['escalade'])}" if side["escalade"] else "",
        f"commit {commit}" if commit else "",
    )
    return ", ".join(part for part in parts if part)


def _headline(
    found: Mapping[str, Any], primary: Sequence[Mapping[str, Any]], *, several: bool
) -> str:
    """Say what the comparison comes to, with the verdicts of the primary KPIs."""
    if found["conclusion"] == "not comparable" or not primary:
        return words.clean(headline(found))
    margin = percent(found["threshold"])
    by_word: dict[str, list[str]] = {}
    for row in primary:
        where = f" ({words.clean(row['deployment'])})" if several else ""
        by_word.setdefault(row["verdict"], []).append(f"{named(row)}{where}")
    told = "; ".join(
        f"{words.listed(by_word[word])}: {word}{f' by more than {margin}' * (word in MOVED)}"
        for word in STYLES
        if word in by_word
    )
    return f"{words.sentence(str(found['conclusion'])).rstrip('.')}. {words.sentence(told)}"


def _not_comparable(found: Mapping[str, Any]) -> list[str]:
    return [
        words.sentence(
            f"{words.clean(told['deployment'])} is not comparable: {words.clean('; '.join(told['why']))}"
        )
        for told in found["deployments"]
        if not told["comparable"]
    ]


def _verdict(row: Mapping[str, Any], *, several: bool) -> Verdict:
    style, sign = STYLES[row["verdict"]]
    where = f", {words.clean(row['deployment'])}" if several else ""
    reason = words.sentence(words.clean(row["reason"]))
    return Verdict(style, sign, str(row["verdict"]), f"{named(row)}{where}", reason)


def _charts(
    key: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    margin: float,
    *,
    several: bool,
) -> tuple[Chart, ...]:
    effects = [effect_of(row, deployment=several) for row in rows]
    if not any(effect.drawn for effect in effects):
        return ()
    return (
        Chart(
            f"comparison-{key}",
            title,
            forest(f"comparison-{key}", title, effects, margin),
            "Point: the change (Hodges and Lehmann's estimate); bar: its 95 % interval over repetitions, with "
            "an arrow where it goes on. The band is the threshold: a change within it is none that counts.",
            _table(rows, several=several),
        ),
    )


def _exploratory(rows: Mapping[str, Sequence[Any]]) -> str:
    total = len(rows["moved"]) + len(rows["rest"])
    if not total:
        return ""
    moved = f"{len(rows['moved'])} of {words.counted(total, 'other KPI')} moved"
    return (
        f"{moved if rows['moved'] else f'None of {total} other KPIs moved'}. They were not declared as primary and "
        "decide nothing: of a hundred that did not change, some seem to."
    )


def _causes(found: Mapping[str, Any]) -> list[Causes]:
    """Gather what differs, once where it differs alike for all deployments."""
    groups: dict[tuple[tuple[str, str, str], ...], list[str]] = {}
    for told in found["deployments"]:
        rows = tuple(
            (
                words.clean(each["what"]),
                short(words.clean(each["baseline"])),
                short(words.clean(each["candidate"])),
            )
            for each in told["changes"]
        )
        if told["comparable"]:
            groups.setdefault(rows, []).append(words.clean(told["deployment"]))
    columns = ("What differs", "Baseline", "This campaign")
    several = len(found["deployments"]) > 1
    return [
        Causes(
            words.listed(names) if several else "",
            Table(columns, _first(rows)),
            Table(columns, tuple(row for row in rows if row not in _first(rows))),
        )
        for rows, names in groups.items()
    ]


def _first(rows: Sequence[tuple[str, str, str]]) -> tuple[tuple[str, str, str], ...]:
    """Give those that are shown at once: packages wait, all else comes first."""
    return tuple(row for row in rows if not row[0].startswith(_PACKAGES))[:_CAUSES]


def _steps(found: Mapping[str, Any]) -> list[str]:
    return [
        words.sentence(
            f"{words.clean(told['deployment'])}: step {step['step']} ({level_of(step).words}) is not compared: "
            f"{words.clean(step['why'])}"
        )
        for told in found["deployments"]
        for step in told.get("steps", ())
    ]


def _rule(found: Mapping[str, Any]) -> str:
    return (
        f"A change counts when its 95 % interval excludes none, p (of the primary KPIs after Holm's correction over "
        f"all of them) is at most {percent(found['level'])}, and it is more than {percent(found['threshold'])} of "
        f"the baseline. Method: {words.clean(found['method'])}. KPIs of both sides were derived again from the "
        "stored requests, with this campaign's objectives."
    )


def _table(rows: Sequence[Mapping[str, Any]], *, several: bool) -> Table:
    columns = (
        *(("Deployment",) if several else ()),
        *("KPI", "Baseline", "This campaign", "Change, 95 %", "p", "Repetitions", "Verdict", "Why"),
    )
    return Table(columns, tuple(_cells(row, several=several) for row in rows))


def _cells(row: Mapping[str, Any], *, several: bool) -> tuple[str, ...]:
    p = row["p"] if row["p_holm"] is None else row["p_holm"]
    return (
        *((words.clean(row["deployment"]),) if several else ()),
        named(row),
        *(words.single(known(row[side]), row["unit"]) for side in ("baseline", "candidate")),
        NOTHING if row["scale"] is None else words.clean(change_of(row)),
        NOTHING if p is None else f"{p:.2g}",
        f"{row['n']['baseline']} against {row['n']['candidate']}",
        f"{STYLES[row['verdict']][1]} {row['verdict']}",
        words.clean(row["reason"]),
    )
