"""A history as a table and sentences."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.words import NOTHING, bounds, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKS = {"better": "▲ better", "worse": "▼ worse", "changed": "◆ changed", "small": "◇ small"}
_CAUSES = 6


@dataclass(frozen=True)
class HistoryTable:
    """One history: a line for each campaign, then what is to be said."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]


def history_table(found: Mapping[str, Any]) -> HistoryTable:
    """Set the series of a history side by side, change points marked at the first campaign behind."""
    series = found["series"]
    heads = [head(each) for each in series]
    rows = tuple(
        (
            date(campaign["measured_at"]),
            words.clean(campaign["path"]),
            _commit(campaign),
            str(campaign["repetitions"]),
            *(_entry(each, place) for each in series),
        )
        for place, campaign in enumerate(found["campaigns"])
    )
    sentences = [
        _told(name, split, found["campaigns"])
        for name, each in zip(heads, series, strict=True)
        for split in each["change_points"]
    ]
    for note in dict.fromkeys(each["note"] for each in series if each["note"]):
        same = [name for name, each in zip(heads, series, strict=True) if each["note"] == note]
        sentences.append(words.sentence(f"{'; '.join(same)}: {note}"))
    columns = ("Measured (UTC)", "Folder", "Commit", "Runs", *heads)
    return HistoryTable(_title(found), columns, rows, tuple(sentences))


def records(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give a record for each value of each series, for a CSV."""
    rows = []
    for history in found["histories"]:
        for series in history["series"]:
            splits = {split["index"]: split for split in series["change_points"]}
            for place, (campaign, point) in enumerate(
                zip(history["campaigns"], series["points"], strict=True)
            ):
                split = splits.get(place, {})
                rows.append(
                    {
                        "deployment": history["deployment"],
                        "workload": history["workload"],
                        "cpu": " | ".join(history["hardware"]["cpu"]),
                        "gpu": " | ".join(history["hardware"]["gpu"]),
                        "measured_at": campaign["measured_at"],
                        **{
                            key: campaign[key]
                            for key in ("campaign", "path", "commit", "repetitions")
                        },
                        **{
                            key: series[key]
                            for key in ("metric", "stat", "label", "at", "unit", "better")
                        },
                        **{
                            key: point[key]
                            for key in ("value", "ci_low", "ci_high", "ci_method", "beyond")
                        },
                        "why": point["why"],
                        "change": split.get("word", ""),
                        "change_p": split.get("p"),
                        "change_relative": split.get("relative"),
                    }
                )
    return rows


def _title(found: Mapping[str, Any]) -> str:
    hardware = found["hardware"]
    machine = [*hardware["gpu"], *hardware["cpu"]] or ["unknown hardware"]
    return (
        f"{words.clean(found['deployment'])}, workload {found['workload']}, on "
        f"{words.listed([words.clean(name) for name in machine])}"
    )


def head(series: Mapping[str, Any]) -> str:
    """Name a series: figure, statistic, step."""
    stat = "" if series["stat"] == "value" else f" {series['stat']}"
    name = {"capacity_qps": "Capacity", "slo_capacity_qps": "SLO capacity"}.get(
        series["metric"], words.title(series["metric"])
    )
    label = f" {words.clean(series['label'])}" if series["label"] else ""
    place = f", {series['at']}" if series["at"] else ""
    return f"{name}{stat}{label}{place}"


def _entry(series: Mapping[str, Any], place: int) -> str:
    point = series["points"][place]
    mark = next((MARKS[s["word"]] for s in series["change_points"] if s["index"] == place), "")
    return "  ".join(part for part in (value_of(series, point), mark) if part)


def value_of(series: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    """Write the value of a point with its interval."""
    if point["infinite"]:
        return "failed"
    value = known(point["value"])
    low, high = bounds(point["ci_low"], point["ci_high"])
    sign = {"above": "≥ ", "below": "≤ "}.get(point["beyond"], "")
    if sign:  # the ladder's end, not an estimate
        return sign + words.single(value, series["unit"])
    return words.amount(value, low, high, series["unit"])


def _told(head: str, split: Mapping[str, Any], campaigns: Sequence[Mapping[str, Any]]) -> str:
    place = split["index"]
    ratio = split["scale"] == "ratio"
    effect = (
        f"by {words.change(known(split['relative']))}"
        if ratio
        else f"by {words.plain(known(split['effect']))}"
    )
    low, high = known(split["ci_low"]), known(split["ci_high"])
    if ratio and low == low and high == high:  # noqa: PLR0124 - not NaN
        effect += f" (95 % from {words.change(low - 1)} to {words.change(high - 1)})"
    causes = [words.clean(change["what"]) for change in split["changes"]]
    more = f" and {len(causes) - _CAUSES} more" if len(causes) > _CAUSES else ""
    also = (
        f"; what else differs from the campaign before: {', '.join(causes[:_CAUSES])}{more}"
        if causes
        else "; nothing that is recorded differs from the campaign before"
    )
    word = {"small": "changed a little", "changed": "changed"}.get(
        split["word"], f"became {split['word']}"
    )
    return words.sentence(
        f"{head} {word} {effect} with {words.clean(split['path'])} of "
        f"{date(campaigns[place]['measured_at'])}, p = {split['p']:.2g}{also}"
    )


def date(seconds: float) -> str:
    """Write Unix seconds as date and time, UTC."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _commit(campaign: Mapping[str, Any]) -> str:
    commit = campaign["commit"]
    if not commit:
        return words.clean(campaign["escalade"] or NOTHING)
    return f"{words.clean(commit)[:8]}{'+' * bool(campaign['dirty'])}"
