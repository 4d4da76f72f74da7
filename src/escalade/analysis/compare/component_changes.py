"""Two measurements of components compared, by the statistics of campaigns: the unit is the repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.compare.comparison import MARGIN, METHOD, Change, Outcome, change, decide
from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCHEMA = 1
DECIDES = "p50"
"""The medians are one family; what is said of tails is exploratory."""
_STANDARDS = ("iterations", "least_seconds", "warmup_seconds", "warmup_iterations", "repetitions")
"""Of a definition: how long it was measured, not what."""


@dataclass
class _Row:
    component: str
    metric: str
    stat: str
    unit: str
    better: str
    found: Change | None
    outcome: Outcome

    @property
    def decides(self) -> bool:
        return self.stat == DECIDES


def component_changes(
    baseline: Mapping[str, Any], candidate: Mapping[str, Any], margin: float = MARGIN
) -> dict[str, Any]:
    """Compare two measurements, component by component.

    Parameters
    ----------
    baseline, candidate
        Content of components.json.
    margin
        The practical margin, as a share of the baseline.

    Returns
    -------
    dict
        `conclusion`, `exit_code` and `rows`: of each component, number and percentile the change
        with its interval, and a verdict. The medians are one family (Holm).
    """
    before, after = (
        {entry["component"]: entry for entry in side["components"]}
        for side in (baseline, candidate)
    )
    rows = [
        row
        for name in dict.fromkeys([*before, *after])
        for row in _rows(name, before.get(name), after.get(name))
    ]
    family = [row for row in rows if row.decides and row.found is not None]
    outcomes = decide([row.found for row in family if row.found is not None], margin)
    for row, outcome in zip(family, outcomes, strict=True):
        row.outcome = outcome
    for row in rows:
        if not row.decides and row.found is not None:
            row.outcome = decide([row.found], margin)[0]
    conclusion, code = _concluded([row.outcome.word for row in rows if row.decides])
    return {
        "schema": SCHEMA,
        "conclusion": conclusion,
        "exit_code": code,
        "threshold": margin,
        "method": METHOD,
        "rows": [_told(row) for row in rows],
    }


def _concluded(words: Sequence[str]) -> tuple[str, int]:
    if "worse" in words:
        return "regression", 1
    if not [word for word in words if word != "not comparable"]:
        return "not comparable", 2
    if {"inconclusive", "not comparable"} & set(words):
        return "undecided", 4
    return "no regression shown", 0


def _rows(
    name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[_Row]:
    why = _why_not(before, after)
    if why or before is None or after is None:
        yield _Row(name, "", DECIDES, "", "", None, Outcome("not comparable", why))
        return
    first, second = _values(before), _values(after)
    for key in dict.fromkeys([*first, *second]):
        metric, stat, unit, better = key
        old, new = first.get(key, []), second.get(key, [])
        if old and new:
            found = change(old, new, "higher" if better == "higher" else "lower")
            yield _Row(name, metric, stat, unit, better, found, Outcome("inconclusive", ""))
        else:
            lacks = "the candidate has" if old else "the baseline has" if new else "both have"
            outcome = Outcome("not comparable", f"{lacks} no {stat}")
            yield _Row(name, metric, stat, unit, better, None, outcome)


def _why_not(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Say why a component can't be compared; "" where it can."""
    if before is None or after is None:
        return f"it is in the {'candidate' if before is None else 'baseline'} alone"
    for side, entry in (("baseline", before), ("candidate", after)):
        if entry["status"] != "measured":
            return f"{side}: {entry['status']}, {entry['reason']}"
    old, new = (_defined(entry) for entry in (before, after))
    if old != new:
        keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        return f"another definition: {', '.join(keys)} differ{'s' * (len(keys) == 1)}"
    for what, read in (("CPU", _cpu), ("GPU", _gpus)):
        if read(before) != read(after):
            return f"another {what}: {read(before) or 'none'} against {read(after) or 'none'}"
    return ""


def _defined(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry["definition"].items() if key not in _STANDARDS}


def _cpu(entry: Mapping[str, Any]) -> str:
    return str(entry.get("environment", {}).get("host", {}).get("cpu_model") or "")


def _gpus(entry: Mapping[str, Any]) -> str:
    gpus = entry.get("environment", {}).get("gpus") or []
    return ", ".join(sorted({str(gpu.get("name")) for gpu in gpus}))


def _values(entry: Mapping[str, Any]) -> dict[tuple[str, str, str, str], list[float]]:
    """Give the value of each repetition, by metric, percentile, unit and direction."""
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for row in entry["rows"]:
        if row["repetition"] is not None:
            key = (str(row["metric"]), str(row["stat"]), str(row["unit"]), str(row["better"]))
            known = found.setdefault(key, [])
            if row["value"] is not None:
                known.append(float(row["value"]))
    return found


def _told(row: _Row) -> dict[str, Any]:
    found = row.found
    return {
        "component": row.component,
        "metric": row.metric,
        "stat": row.stat,
        "unit": row.unit,
        "better": row.better,
        "role": "primary" if row.decides else "exploratory",
        "verdict": row.outcome.word,
        "reason": row.outcome.reason,
        "baseline": None if found is None else float(np.median(found.baseline)),
        "candidate": None if found is None else float(np.median(found.candidate)),
        "relative": None if found is None else finite(found.relative),
        "ci_low": None if found is None else finite(found.relative_of(found.shift.low)),
        "ci_high": None if found is None else finite(found.relative_of(found.shift.high)),
        "p": None if found is None else found.shift.p,
        "n_baseline": 0 if found is None else len(found.baseline),
        "n_candidate": 0 if found is None else len(found.candidate),
    }
