"""What the page's script needs to move the limit of an objective: see `analysis.what_if`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import RATES, WAITING
from escalade.report import words
from escalade.report.axis import level, short
from escalade.report.facts import SATURATED
from escalade.report.sections.objectives import objective, subject
from escalade.report.tables import shortened
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from escalade.report.data import ReportData

_CONDITIONS = ("fixed", "reason", "no_pass", "no_fail")


def limits(data: ReportData) -> list[dict[str, Any]]:
    """Give every objective with what decides at each step; none where the verdicts don't say it."""
    judged = {_place(row): row for row in data.slos}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in data.limits:
        rows.setdefault(words.clean(row.get("slo")), []).append(row)
    first = {words.clean(row.get("slo")): row for row in reversed(data.slos)}
    return [
        _objective(slo, rows[name], judged, data)
        for name, slo in reversed(first.items())
        if name in rows and math.isfinite(known(slo.get("limit")))
    ]


def _place(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = (words.clean(row.get(name)) for name in ("slo", "deployment", "cell", "step"))
    return tuple(names)


def _objective(
    slo: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    judged: Mapping[tuple[str, ...], Mapping[str, Any]],
    data: ReportData,
) -> dict[str, Any]:
    limit = known(slo.get("limit"))
    scale = words.scale_for(words.clean(slo.get("unit") or ""), (limit,))
    return {
        "title": objective(slo),
        "what": f"{subject(slo)}, 95 % interval",
        "column": data.axis.column,
        "limit": limit,
        "factor": scale.factor,
        "unit": scale.label,
        "at_least": bool(slo.get("at_least")),
        "rate": slo.get("metric") in RATES,
        "steps": [_step(row, slo, rows, judged.get(_place(row)), data) for row in rows],
    }


def _step(
    row: Mapping[str, Any],
    slo: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    judged: Mapping[str, Any] | None,
    data: ReportData,
) -> dict[str, Any]:
    place = level(row)
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    content = {
        "where": _where(row, data),
        "load": short(place),
        "qps": _finite(place.qps),
        "told": _told(row, slo, low, high),
        "value": _finite(known(row.get("value"))),
        "low": _finite(low),
        "high": _finite(high),
        "given": words.clean(judged.get("verdict")) if judged else None,
        **{name: words.clean(row[name]) for name in _CONDITIONS if row.get(name)},
        "lacking": _lacking(row, slo, data),
        "least_limit": _finite(known(row.get("least_limit"))),
        "members": _members(row, rows),
    }
    kept = {"low", "high", "value"}
    return {name: value for name, value in content.items() if value or name in kept}


def _members(row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Find the repetitions behind a row over all of them."""
    if row.get("cell") is not None:
        return []
    place = row.get("deployment"), row.get("step")
    return [
        number
        for number, other in enumerate(rows)
        if other.get("cell") is not None and (other.get("deployment"), other.get("step")) == place
    ]


def _where(row: Mapping[str, Any], data: ReportData) -> str:
    deployment = words.clean(row.get("deployment"))
    cells = data.deployments.get(deployment, ())
    if len(cells) < 2:
        return deployment
    mine = next((cell for cell in cells if cell.name == words.clean(row.get("cell"))), None)
    return f"{deployment}, {f'repetition {mine.repetition}' if mine else 'all repetitions'}"


def _told(row: Mapping[str, Any], slo: Mapping[str, Any], low: float, high: float) -> str:
    if SATURATED in str(row.get("no_pass")) and slo.get("metric") in WAITING:
        return "grows with time"
    value = words.amount(known(row.get("value")), low, high, words.clean(slo.get("unit") or ""))
    n = known(row.get("n"))
    return f"{value}, n = {words.plain(n, 0)}" if n > 0 else value


def _lacking(row: Mapping[str, Any], slo: Mapping[str, Any], data: ReportData) -> str:
    """Say why no interval decides where there is none, or none on the side that would have to hold."""
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    n = known(row.get("n"))
    has = f"has {words.plain(n, 0)}" if n > 0 else "has none"
    if row.get("cell") is None:
        return ""
    if math.isnan(low) and math.isnan(high):
        label = ", ".join(words.clean(slo[key]) for key in ("workload", "of") if slo.get(key))
        place = words.clean(row.get("cell")), int(known(row.get("step")))
        found = data.estimate(*place, str(slo.get("metric")), str(slo.get("stat")), label or None)
        short = shortened(found)
        if short.startswith("needs n"):
            return f"too few requests: {short}, {has}"
        return found.no_interval or short
    worst = low if slo.get("at_least") else high
    if math.isinf(worst):
        return f"so few requests do not bound {slo.get('stat')} on this side: {has}"
    return ""


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
