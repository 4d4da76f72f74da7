"""A campaign in Markdown, for a comment on a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import at, level
from escalade.report.facts import VERDICTS
from escalade.report.sections.concerns import NOTE, concerns
from escalade.report.sections.findings import shown_findings
from escalade.report.sections.grading import grade
from escalade.report.sections.identity import identity
from escalade.report.sections.judgement import run_of
from escalade.report.sections.objectives import objective
from escalade.report.sections.partial import partial_words
from escalade.report.sections.story import summary
from escalade.report.several.told import labels, overview, remarks
from escalade.report.texts import comparison
from escalade.report.texts.markdown import escaped, folded, table, within_limit
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.several.told import Member
    from escalade.report.twin.models import Overview

MARKS = {"PASS": "🟢", "FAIL": "🔴", "INCONCLUSIVE": "🟡", "INVALID": "⚪", "NOT_RUN": "⚫"}
_OVERVIEW = (
    *("campaign", "deployment", "verdicts", "capacity", "objective", "data quality"),
    *("system", "commit"),
)
_SENTENCES, _ROWS, _FINDINGS, _CONCERNS, _LENGTH = 24, 40, 5, 6, 600


def campaign_markdown(data: ReportData) -> str:
    """Write verdict, summary, objectives, data quality, findings, and how to measure it again."""
    return within_limit(
        (
            ("the verdict", _head(data)),
            ("the summary", _summary(data)),
            ("the objectives", _objectives(data)),
            ("the comparison with the baseline", _compared(data)),
            ("the findings", _findings(data)),
            ("the data quality", _quality(data)),
            ("how to reproduce it", _reproduce(data)),
        ),
        "The page",
    )


def verdict_of(data: ReportData) -> str:
    """Give the verdict that a reader must see first among those that count; empty without one."""
    given = {row.get("verdict") for row in data.slos if row.get("counts")}
    return next((verdict for verdict in VERDICTS if verdict in given), "")


def _head(data: ReportData, label: str = "") -> str:
    verdict = verdict_of(data)
    mark = MARKS.get(verdict, "⚪")
    word = verdict.replace("_", " ") or "no verdict"
    facts = " · ".join(escaped(value) for _, value in identity(data))
    graded = grade(data)
    quality = f" · data quality **{graded[0]}** ({escaped(graded[1])})" if graded else ""
    partial = partial_words(data)
    lead = f"\n\n> **Partial report.** {escaped(partial)}" if partial else ""
    return f"### {mark} {escaped(label or data.name)}: {word}\n\n{facts}{quality}{lead}"


def _compared(data: ReportData) -> str:
    found = data.comparison.get("comparison")
    return comparison.markdown(found).rstrip() if found else ""


def _summary(data: ReportData) -> str:
    told = summary(data)
    lines = [
        f"- {f'**{each.verdict}** ' if each.verdict else ''}{_short(each.text)}"
        for each in told[:_SENTENCES]
    ]
    return _with_rest(lines, len(told) - _SENTENCES, "sentence")


def _objectives(data: ReportData) -> str:
    """Set objectives that count first: they decide."""
    rows = sorted(data.slos, key=lambda row: not row.get("counts"))
    if not rows:
        return "No objective was set for this campaign."
    columns = ("", "objective", "at", "deployment", "value, 95 % interval", "n", "verdict")
    shown = table(columns, [_objective(row, data) for row in rows[:_ROWS]])
    return _with_rest([shown], len(rows) - _ROWS, "verdict")


def _objective(row: Mapping[str, Any], data: ReportData) -> tuple[str, ...]:
    deployment = words.clean(row.get("deployment"))
    run = run_of(row, data.deployments.get(deployment, ()))
    verdict = words.clean(row.get("verdict") or "NOT_RUN")
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    return (
        MARKS.get(verdict, ""),
        objective(row),
        at(level(row)),
        f"{deployment}, {run}" if run else deployment,
        words.amount(known(row.get("value")), low, high, words.clean(row.get("unit") or "")),
        words.plain(known(row.get("n")), 0),
        verdict.replace("_", " ") + ("" if row.get("counts") else " (for information)"),
    )


def _findings(data: ReportData) -> str:
    fired = shown_findings(data)
    if not fired:
        return ""
    lines = []
    for row in fired[:_FINDINGS]:
        option = next(iter(row.get("next") or []), "")
        trying = f" Try: {_short(words.sentence(words.clean(option)))}" if option else ""
        measured = _short(words.sentence(words.clean(row.get("measured") or "")))
        lines.append(
            f"- **{escaped(words.clean(row.get('kind')))}**: {_short(words.clean(row.get('title')))}. "
            f"{measured}{trying}"
        )
    return "**Findings**\n\n" + _with_rest(lines, len(fired) - _FINDINGS, "finding")


def _quality(data: ReportData) -> str:
    found = [each for each in concerns(data) if each.severity != NOTE]
    if not found:
        return ""
    lines = [
        f"- {each.severity}: {_short(each.text)} ({escaped(each.where)})"
        for each in found[:_CONCERNS]
    ]
    inner = _with_rest(lines, len(found) - _CONCERNS, "warning")
    return folded(f"Data quality: {words.counted(len(found), 'warning')}", inner)


def _reproduce(data: ReportData) -> str:
    commands = [words.clean(line) for line in data.provenance.get("reproduce") or []]
    if not commands:
        return ""
    fence = "`" * max(3, 1 + max(_longest_run(line) for line in commands))
    return f"{fence}sh\n" + "\n".join(commands) + f"\n{fence}"


def _longest_run(text: str) -> int:
    longest = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        longest = max(longest, run)
    return longest


def _with_rest(lines: Sequence[str], left: int, noun: str) -> str:
    more = [f"\n… and {words.counted(left, noun)} more, on the page."] if left > 0 else []
    return "\n".join([*lines, *more])


def _short(text: str) -> str:
    return escaped(text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…")


def several_markdown(members: Sequence[Member], unread: Sequence[tuple[str, str]] = ()) -> str:
    """Write several campaigns: overview, what sets them apart, then each; what does not fit is named."""
    named = labels(members)
    lost = [f"- {escaped(folder)} is left out: {_short(why)}" for folder, why in unread]
    parts = [
        ("the overview", table(_OVERVIEW, [_overview(row) for row in overview(members)[:_ROWS]])),
        ("the folders left out", "\n".join(lost)),
        ("the remarks", "\n".join(f"- {escaped(remark)}" for remark in remarks(members))),
    ]
    parts += [
        (escaped(label), f"{_head(member.data, label)}\n\n{_summary(member.data)}")
        for member, label in zip(members, named, strict=True)
    ]
    return within_limit(parts, "The page")


def _overview(row: Overview) -> tuple[str, ...]:
    held = row.capacity or NOTHING
    value = words.amount(
        known(row.slo_value), *words.bounds(row.slo_ci_low, row.slo_ci_high), row.slo_unit
    )
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in row.verdicts.items())
    objective_said = f"{value} {row.slo_verdict}: {row.slo}" if row.slo else NOTHING
    return (
        *(row.campaign, row.deployment, verdicts or "none counts", held, objective_said),
        *(row.grade or NOTHING, row.system, row.source),
    )
