"""Up to which rate the objectives hold, in words: never more than the verdicts of the steps confirm."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import RATES
from escalade.analysis.verdicts.confirmed import Confirmed
from escalade.analysis.verdicts.confirmed import confirmed as steps_confirming
from escalade.report import words
from escalade.report.axis import level
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UNIT = "requests/s"
_OPEN = (math.nan, math.nan)
_NEAR = 0.95
"""A step that passes at this share of an estimated rate, or more, confirms it: what is left is within
the margin of 5 % that a comparison calls no change."""
_SHORT = {
    "latency_seconds": "",
    "ttft_seconds": " time to first token",
    "itl_seconds": " inter-token latency",
}


def holds(
    name: str, rows: Sequence[Mapping[str, Any]], slos: Sequence[Mapping[str, Any]], runs: str
) -> str:
    """Say which rate is held within the objectives, and what comes beyond it; empty when not known.

    A rate that was estimated beyond the last step that passes is told as that, behind the step.

    Parameters
    ----------
    name
        Of what was measured.
    rows
        One capacity per repetition, or the one over all of them.
    slos
        Verdicts of the deployment.
    runs
        Over how many runs, as words.
    """
    found = [value for row in rows if math.isfinite(value := known(row.get("slo_capacity_qps")))]
    told = demands(slos)
    if not rows or len(found) < len(rows) or not told:
        return ""
    bounded = len(rows) == 1 and not rows[0].get("slo_at_least")
    bounds = rate_bounds(rows[0], "slo_ci_low", "slo_ci_high") if bounded else _OPEN
    rate = words.amount(statistics.median(found), *bounds, _UNIT)
    if len(found) > 1:
        low, high = (words.plain(value) for value in (min(found), max(found)))
        rate += f" (median; {low} to {high})" if low != high else " (in each run)"
    at_least = any(row.get("slo_at_least") for row in rows)
    least = "at least " if at_least else ""
    behind = _steps_behind(rows, slos)
    fails = f" and fails at {_rate(behind.failed)}" if math.isfinite(behind.failed) else ""
    if behind.passed >= _NEAR * statistics.median(found):
        held = f"{name} holds {least}{rate} at {told}, {runs}"
    elif math.isfinite(behind.passed):
        how = "point estimates" if at_least else "interpolation"
        held = (
            f"{name} holds at least {_rate(behind.passed)} at {told}{fails}, {runs}; "
            f"by {how} {least}{rate}, which no step confirms"
        )
    else:
        sure = all(math.isfinite(known(row.get("slo_ci_low"))) for row in rows)
        held = (
            f"{name} may hold {least}{rate} at {told}{fails}, {runs}: point estimates say so, "
            f"no {'step' if sure else 'interval'} confirms it"
        )
    return f"{held}; {_beyond(rows, found)}"


def _steps_behind(
    rows: Sequence[Mapping[str, Any]], slos: Sequence[Mapping[str, Any]]
) -> Confirmed:
    """Give the highest step that passes, and the lowest that fails, in every run.

    Results of earlier releases don't name them: there the verdicts of the steps do.
    """
    if not all("slo_passed_qps" in row for row in rows):
        return steps_confirming(slos)
    passed, failed = (
        [known(row[name]) for row in rows] for name in ("slo_passed_qps", "slo_failed_qps")
    )
    return Confirmed(
        math.nan if any(map(math.isnan, passed)) else min(passed),
        math.nan if any(map(math.isnan, failed)) else max(failed),
    )


def only_estimated(row: Mapping[str, Any]) -> bool:
    """Tell whether the rate of a capacity lies beyond the last step that passes; not known of earlier results."""
    if "slo_passed_qps" not in row:
        return False
    return not known(row["slo_passed_qps"]) >= _NEAR * known(row.get("slo_capacity_qps"))


def _rate(value: float) -> str:
    return f"{words.rate(value)}{words.NO_BREAK}{_UNIT}"


def rate_bounds(row: Mapping[str, Any], low: str, high: str) -> tuple[float, float]:
    """Give the interval of a rate: where nothing bounds it from below, it is at least 0."""
    least, most = words.bounds(row.get(low), row.get(high))
    return max(least, 0.0) if math.isfinite(most) else least, most


def _beyond(rows: Sequence[Mapping[str, Any]], held: Sequence[float]) -> str:
    """Say what happens at higher rates, as far as a step went there."""
    most = [value for row in rows if math.isfinite(value := known(row.get("capacity_qps")))]
    if len(most) < len(rows) or not all(row.get("saturated") for row in rows):
        return (
            "no valid step brought it to its limit"
            if not most
            else "not every run reached its limit"
        )
    happens = "its queue grows without end"
    if any(row.get("collapse") for row in rows):
        happens = "its throughput collapses"
    capacity, slo = statistics.median(most), statistics.median(held)
    if math.isclose(capacity, slo, rel_tol=1e-6):
        return f"beyond that {happens}"
    bounds = rate_bounds(rows[0], "ci_low", "ci_high") if len(rows) == 1 else _OPEN
    return f"beyond {words.amount(capacity, *bounds, _UNIT)} {happens}"


def demands(slos: Sequence[Mapping[str, Any]]) -> str:
    """Name the objectives in a few words: "p90 under 1.5 s and errors under 1 %"; rates of answers left out."""
    found: dict[str, None] = {}
    for row in slos:
        metric = str(row.get("metric"))
        if metric in RATES:
            continue
        stat = "" if row.get("stat") == "value" else words.clean(row.get("stat"))
        what = _SHORT.get(metric, f" {words.title(metric).lower()}")
        side = "at least" if row.get("at_least") else "under"
        limit = words.single(known(row.get("limit")), words.clean(row.get("unit") or ""))
        of = f" of {words.clean(row['workload'])}" if row.get("workload") else ""
        found[f"{stat}{what}{of} {side} {limit}".strip()] = None
    return words.listed(list(found))


def confirmed(slos: Sequence[Mapping[str, Any]]) -> str:
    """Say up to which step every objective is PASS, and what the verdict is at the next; empty without steps."""
    judged: dict[float, set[str]] = {}
    for row in slos:
        if str(row.get("metric")) not in RATES and math.isfinite(rate := level(row).value):
            judged.setdefault(rate, set()).add(str(row.get("verdict")))
    rates = sorted(judged)
    passed = 0
    while passed < len(rates) and judged[rates[passed]] == {"PASS"}:
        passed += 1
    if not rates:
        return ""
    begin = (
        f"Confirmed, with PASS at every step, up to {words.rate(rates[passed - 1])} {_UNIT}"
        if passed
        else "No step confirms it"
    )
    if passed == len(rates):
        return f"{begin}, the highest step."
    others = judged[rates[passed]] - {"PASS"}
    verdicts = words.listed([verdict.replace("_", " ") for verdict in sorted(others)])
    separator = ";" if passed else ":"
    return f"{begin}{separator} at {words.rate(rates[passed])} {_UNIT} the verdict is {verdicts}."
