"""How much a deployment holds and how fast it answers there, each as a part of a sentence."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from escalade.analysis.measured.levels import CONCURRENCY, SAMPLES
from escalade.report import words
from escalade.report.axis import at, level
from escalade.report.estimates import Estimate
from escalade.report.facts import VALID
from escalade.report.sections.phrases import EVENTS, beginning, numbers
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts


def capacity(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how much load a deployment holds.

    Parameters
    ----------
    rows
        One capacity per repetition, or the one over all of them.
    """
    found = [row for row in rows if math.isfinite(known(row.get("capacity_qps")))]
    bounds = [low for row in rows if math.isfinite(low := known(row.get("ci_low")))]
    if found and all(row.get("saturated") for row in found) and len(bounds) <= len(found):
        held = words.amount(*_middle([_capacity_estimate(row) for row in found]), "requests/s")
        spread = _spread([known(row["capacity_qps"]) for row in found], "requests/s")
        collapses = any(row.get("collapse") for row in found)
        end = "its throughput collapses" if collapses else "its queue grows without end"
        return f"{name} holds {held}{spread} before {end}"
    if bounds:
        least = words.single(min(bounds), "requests/s")
        reached = [row for row in rows if row.get("saturated")]
        ending = "no valid step brought it to its limit"
        if reached and len(rows) == 1:
            ending = words.clean(reached[0].get("reason") or "").rstrip(".")
        elif reached:
            ending = (
                f"only in {len(reached)} of {len(rows)} repetitions a step brought it to its limit"
            )
        return f"{name} holds at least {least}, and {ending}"
    reasons = (str(row["reason"]) for row in rows if row.get("reason"))
    why = words.clean(next(reasons, "there is no step to judge by")).rstrip(".")
    return f"how much load {name} holds is not known ({why})"


def driven(name: str, data: ReportData, cells: Sequence[CellFacts]) -> str:
    """Say how much a deployment answered under a load without a rate: its best valid step."""
    metric = "throughput_qps" if data.axis.name == CONCURRENCY else "samples_per_second"
    found = [
        (estimate.value, step.level)
        for cell in cells
        for step in cell.steps
        if step.state == VALID
        for estimate in [data.estimate(cell.name, step.number, metric)]
        if estimate.known
    ]
    if not found:
        return f"how much {name} answers is not known (no valid step)"
    most, place = max(found, key=lambda each: each[0])
    if place.at_once:
        return f"{name} works off {words.plain(most)} samples/s, {at(place)}"
    return f"{name} answers {words.plain(most)} requests/s in a closed loop {at(place)}"


def speed(data: ReportData, deployment: str) -> str:
    """Say how fast answers come, at the step whose SLO counts or else at the highest sound step."""
    spoken = _spoken_objective(data, deployment)
    metric, stat, workload = str(spoken["metric"]), str(spoken["stat"]), spoken.get("workload")
    share = beginning(metric, stat, workload)
    if spoken.get("counts") and spoken.get("cell") is None:
        value = words.amount(*numbers(spoken), words.clean(spoken.get("unit") or "s"))
        return f"{at(level(spoken))} {share} {value}"
    cells = data.deployments[deployment]
    rate = (
        level(spoken).value
        if spoken.get("counts")
        else _highest_sound_rate(data, cells, metric, stat, workload)
    )
    there = [
        (estimate, step.level)
        for cell in cells
        for step in cell.steps
        if step.place == rate and step.state == VALID
        for estimate in [data.estimate(cell.name, step.number, metric, stat, workload)]
        if estimate.printable
    ]
    if not there or data.axis.name == SAMPLES:  # a time in the pile says nothing of its own
        return ""
    found, place = [estimate for estimate, _ in there], there[0][1]
    value = words.amount(*_middle(found), found[0].unit)
    spread = _spread([estimate.value for estimate in found], found[0].unit)
    return f"{at(place)} {share} {value}{spread}"


def _spoken_objective(data: ReportData, deployment: str) -> dict[str, Any]:
    """Choose the statistic of the sentence: the SLO's that counts, else any SLO's, else p90."""
    timed = [
        row
        for row in data.slos
        if words.clean(row.get("deployment")) == deployment
        and row.get("metric") in EVENTS
        and math.isfinite(known(row.get("value")))
    ]
    chosen = next((row for row in timed if row.get("counts")), timed[0] if timed else None)
    together = any(s.level.together > 1 for c in data.deployments[deployment] for s in c.steps)
    metric = "query_latency_seconds" if together else "latency_seconds"
    return chosen or {"metric": metric, "stat": "p90"}


def _highest_sound_rate(
    data: ReportData, cells: Sequence[CellFacts], metric: str, stat: str, workload: str | None
) -> float:
    rates = [
        step.place
        for cell in cells
        for step in cell.steps
        if step.state == VALID
        and data.estimate(cell.name, step.number, metric, stat, workload).printable
    ]
    return max(rates, default=math.nan)


def _capacity_estimate(row: Mapping[str, Any]) -> Estimate:
    low, high = known(row.get("ci_low")), known(row.get("ci_high"))
    return Estimate(known(row["capacity_qps"]), low, high, "requests/s", quality="ok")


def _middle(found: Sequence[Estimate]) -> tuple[float, float, float]:
    """Give the only estimate with its interval, or the median of several without one."""
    if len(found) == 1:
        return found[0].value, found[0].low, found[0].high
    return statistics.median(estimate.value for estimate in found), math.nan, math.nan


def _spread(values: Sequence[float], unit: str) -> str:
    if len(values) < 2:
        return ""
    scale = words.scale_for(unit, values)
    low, high = (words.plain(scale.apply(value)) for value in (min(values), max(values)))
    return f" (median; {low} to {high})" if low != high else " (in each run)"
