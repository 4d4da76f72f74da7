"""Component benchmarks as a table: what the report and the command line show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import NOTHING, bounds, known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMNS = ("Component", "p50", "p90 (p10)", "p95 (p5)", "p99 (p1)", "Iterations", "Remarks")
NOTE = (
    "Percentiles with 95 % intervals; of rates, where more is better, those in brackets, so that "
    "the tail is always the bad end. Iterations without those of the warm-up."
)


@dataclass(frozen=True)
class Parts:
    """The table of component benchmarks, and what is to be known of it."""

    table: Table
    note: str


def parts(content: Mapping[str, Any]) -> Parts:
    """Give what the report shows; an empty table where nothing was measured."""
    return Parts(components_table(content), " ".join([NOTE, *_machines(content)]))


def _machines(content: Mapping[str, Any]) -> list[str]:
    """Say where they were measured."""
    hosts = [
        entry.get("environment", {}).get("host", {}) for entry in content.get("components") or ()
    ]
    told = dict.fromkeys(
        f"{words.clean(host.get('hostname'))} ({words.clean(host.get('cpu_model'))})"
        for host in hosts
        if host
    )
    return [f"Measured on {words.listed(list(told))}."] if told else []


def components_table(content: Mapping[str, Any]) -> Table:
    """Give a line per component, number and repetition; one over the repetitions where it is there.

    Parameters
    ----------
    content
        Of components.json.
    """
    lines = [line for entry in content.get("components") or () for line in _lines(entry)]
    return Table(COLUMNS, tuple(lines))


def changes_table(found: Mapping[str, Any]) -> Table:
    """Give a line for each row of a comparison of components, the exploratory ones marked so."""
    columns = ("Component", "Number", "Baseline", "Candidate", "Verdict", "Why")
    return Table(columns, tuple(_change(row) for row in found["rows"]))


def _change(row: Mapping[str, Any]) -> tuple[str, ...]:
    values = known(row["baseline"]), known(row["candidate"])
    scale = words.scale_for(str(row["unit"]), values)
    explored = "" if row["role"] == "primary" else " (exploratory)"
    return (
        words.clean(row["component"]),
        f"{words.clean(row['metric'])} {row['stat']}".strip() if row["metric"] else NOTHING,
        *(words.single(value, str(row["unit"]), scale) for value in values),
        f"{row['verdict']}{explored}",
        words.sentence(words.clean(row["reason"])),
    )


def _lines(entry: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    name = words.clean(entry.get("component"))
    if entry.get("status") != "measured":
        why = f"{words.clean(entry.get('status'))}: {words.clean(entry.get('reason'))}"
        yield name, *[NOTHING] * 5, words.sentence(why)
        return
    groups: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
    for row in entry["rows"]:
        groups.setdefault((str(row["metric"]), row["repetition"]), []).append(row)
    metrics = {metric for metric, _ in groups}
    joined = {metric for metric, repetition in groups if repetition is None}
    several = any(repetition not in (None, 1) for _, repetition in groups)
    for (metric, repetition), rows in groups.items():
        if (metric in joined) != (repetition is None):
            continue
        parts = [name]
        parts += [f"{words.clean(metric)}"] if len(metrics) > 1 else []
        if repetition is None:
            parts.append(f"over {words.counted(len(entry['repetitions']), 'repetition')}")
        elif several:
            parts.append(f"repetition {repetition}")
        yield ", ".join(parts), *_numbers(rows), _iterations(entry, repetition), _remarks(rows)


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    scale = words.scale_for(str(rows[0]["unit"]), (known(row["value"]) for row in rows))
    return [
        words.amount(
            known(row["value"]), *bounds(row["ci_low"], row["ci_high"]), str(row["unit"]), scale
        )
        for row in rows
    ]


def _iterations(entry: Mapping[str, Any], repetition: int | None) -> str:
    counts = [
        int(made["iterations"])
        for made in entry["repetitions"]
        if repetition in (None, made["repetition"])
    ]
    return words.plain(float(sum(counts)), 0)


def _remarks(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say once what is wrong with the numbers of a line."""
    told = [
        part
        for row in rows
        if row["quality"] != "ok"
        for part in str(row["quality"]).removeprefix("flagged: ").split("; ")
    ]
    return words.sentence("; ".join(dict.fromkeys(words.clean(part) for part in told)))
