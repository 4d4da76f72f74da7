"""The executive summary: plain sentences made from the results.

Every function gives text for given data and nothing else, so that what a
stakeholder reads is tested word by word. A sentence never claims more than the
verdict behind it: "at least" where nothing gave way, "this run only" where
there is one repetition, and no interval over runs that were not made.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.gate import two_digits
from escalade.analysis.measured.levels import CONCURRENCY, SAMPLES
from escalade.analysis.stats.intervals import MIN_REPETITIONS
from escalade.report import words
from escalade.report.axis import AXES, at, level
from escalade.report.estimates import Estimate
from escalade.report.facts import VALID
from escalade.report.marks import Marks
from escalade.report.sections import search
from escalade.report.sections.cost import hours_sentence
from escalade.report.sections.energy import energy_sentence
from escalade.report.sections.held import confirmed, holds, rate_bounds
from escalade.report.sections.objectives import objective
from escalade.report.words import NO_BREAK, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

_EVENTS = {
    "latency_seconds": ("requests", "end within"),
    "query_latency_seconds": ("queries", "end within"),
    "ttft_seconds": ("answers", "begin within"),
    "itl_seconds": ("tokens", "follow the one before within"),
    "tpot_seconds": ("answers", "take per token at most"),
}


@dataclass(frozen=True)
class Statement:
    """One sentence of the summary; `verdict` is the word shown in front of it, if any."""

    text: str
    verdict: str | None = None
    leading: bool = False
    warnings: tuple[int, ...] = ()


def summary(data: ReportData, marks: Marks | None = None) -> list[Statement]:
    """Tell the campaign: what failed, what each deployment holds, how each SLO that counts ended.

    Statements carry the numbers of the warnings that they rest on.
    """
    marks = marks or Marks()
    if not data.facts:
        return [Statement("Nothing was measured: this campaign has no finished cell.")]
    told = [Statement(text) for text in (failures(data.facts),) if text]
    for deployment, cells in data.deployments.items():
        named = marks.of_steps(cell.name for cell in cells)
        told.append(Statement(headline(data, deployment), leading=True, warnings=named))
        told += [
            Statement(
                judgement(row, run_of(row, cells)),
                str(row.get("verdict")),
                warnings=marks.of_verdict(row, (cell.name for cell in cells)),
            )
            for row in data.slos
            if row.get("counts") and words.clean(row.get("deployment")) == deployment
        ]
        told += [Statement(text) for text in _informative(data, deployment)]
        text = neighbours(data, cells)
        told += [Statement(text)] if text else []
        if not data.axis.open:
            continue
        text = objectives(_capacities(data, deployment), judged=verdicts_of(data, deployment))
        told += [Statement(text)] if text else []
        told += [
            Statement(text)
            for cell in cells
            for text in search.sentences(cell, several=len(cells) > 1)
        ]
    closing = [*(energy_sentence(data, name) for name in data.deployments), hours_sentence(data)]
    return [*told, *(Statement(text) for text in closing if text)]


def headline(data: ReportData, deployment: str) -> str:
    """Say in one sentence what a deployment holds, how fast it answers, and how sure that is."""
    cells = data.deployments[deployment]
    name = subject(cells, several=len(data.deployments) > 1)
    if not any(step.measured for cell in cells for step in cell.steps):
        return f"Nothing is known of {name}: no step was measured."
    runs = repetitions(len([cell for cell in cells if cell.finished]))
    rows = _capacities(data, deployment)
    within = holds(name, rows, verdicts_of(data, deployment), runs) if data.axis.open else ""
    most = capacity(name, rows) if data.axis.open else driven(name, data, cells)
    fast = speed(data, deployment)
    parts = [within, fast] if within else [most, fast, runs]
    told = "; ".join(part for part in parts if part)
    return f"{told[0].upper() if told.startswith('how much') else told[0]}{told[1:]}."


def subject(cells: Sequence[CellFacts], *, several: bool) -> str:
    """Name what was measured: "SmolLM2-135M on 1 core", with the deployment's name among several."""
    deployment = cells[0].deployment
    environment = next((cell.environment for cell in cells if cell.environment), {})
    models = [
        words.clean(model["name"])
        for model in (environment.get("service") or {}).get("models") or []
        if model.get("name")
    ]
    named = words.listed(models) or deployment
    cores = len((environment.get("allocation") or {}).get("service_cpus") or [])
    where = f" on {words.counted(cores, 'core')}" if cores else ""
    also = f" ({deployment})" if several and named != deployment else ""
    return f"{named}{where}{also}"


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
    share = _share(metric, stat, workload)
    if spoken.get("counts") and spoken.get("cell") is None:
        value = words.amount(*_numbers(spoken), words.clean(spoken.get("unit") or "s"))
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


def repetitions(finished: int) -> str:
    """Say over how many runs of the service the figures hold."""
    if finished == 0:
        return "no run finished"
    if finished == 1:
        return "this run only (1 repetition)"
    if finished < MIN_REPETITIONS:
        return f"these {finished} runs only, too few for an interval over runs"
    return f"over {finished} repetitions"


def run_of(row: Mapping[str, Any], cells: Sequence[CellFacts]) -> str:
    """Name the repetition that a verdict belongs to: "repetition 2", empty when there is only one."""
    found = [cell for cell in cells if cell.name == words.clean(row.get("cell"))]
    return f"repetition {found[0].repetition}" if found and len(cells) > 1 else ""


def judgement(row: Mapping[str, Any], run: str = "") -> str:
    """Say how one SLO ended at one step, and why; `run` names the repetition, if there are several."""
    metric, stat = str(row.get("metric")), str(row.get("stat"))
    unit = str(row.get("unit") or "")
    bound = words.single(known(row.get("limit")), unit)
    limit = f"{'minimum' if row.get('at_least') else 'limit'} of {bound}"
    share = _share(metric, stat, row.get("workload"))
    where = f"in {run}, " * bool(run) + at(level(row))
    value = known(row.get("value"))
    reason = words.remaining_reason(row.get("reason"))
    because = f": {reason}" if reason else ""
    verdict = row.get("verdict")
    if verdict == "NOT_RUN":
        return words.sentence(f"{where} nothing was measured{because}")
    if verdict == "INVALID":
        return words.sentence(f"{where} the {limit} can't be judged{because}")
    if not math.isfinite(value) and verdict in ("PASS", "FAIL"):
        kept = "kept" if verdict == "PASS" else "missed"
        return words.sentence(f"{where} the {limit} is {kept}{because}")
    if not math.isfinite(value):
        least = "at least " if row.get("at_least") else ""
        return words.sentence(f"{where} it is undecided whether {share} {least}{bound}{because}")
    amount = words.amount(*_numbers(row), unit)
    ending = {
        "PASS": f"the {limit} is kept{because}",
        "FAIL": f"the {limit} is missed{because}",
    }.get(str(verdict), f"whether the {limit} is kept is undecided{because}")
    return words.sentence(f"{where} {share} {amount}; {ending}")


def _informative(data: ReportData, deployment: str) -> list[str]:
    """Tell the SLOs that name no rate, each in a sentence of its own per cell."""
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in data.slos:
        joint = row.get("cell") is None or data.joint_capacity_of(deployment) is None
        if not row.get("counts") and joint and words.clean(row.get("deployment")) == deployment:
            run = run_of(row, data.deployments[deployment])
            grouped.setdefault((words.clean(row.get("slo")), run), []).append(row)
    return [along_the_ladder(rows, run) for (_, run), rows in grouped.items()]


def along_the_ladder(rows: Sequence[Mapping[str, Any]], run: str = "") -> str:
    """Say how one SLO that counts nowhere ended at each step."""
    ended: dict[str, list[float]] = {}
    for row in rows:
        ended.setdefault(str(row.get("verdict")), []).append(level(row).value)
    parts = [
        f"{verdict.replace('_', ' ')} at {words.listed([words.rate(rate) for rate in rates])}"
        for verdict, rates in ended.items()
    ]
    where = f" in {run}" if run else ""
    told = f"{objective(rows[0])}{where}: {', '.join(parts)} {AXES[level(rows[0]).name].unit} (for information)"
    return words.sentence(told)


def objectives(rows: Sequence[Mapping[str, Any]], *, judged: Sequence[Mapping[str, Any]]) -> str:
    """Say up to which rate the SLOs are kept, how that was found, and which steps confirm it."""
    if not judged or not rows:
        return ""
    found = [row for row in rows if math.isfinite(known(row.get("slo_capacity_qps")))]
    chosen = min(found, key=lambda row: known(row["slo_capacity_qps"]), default=rows[0])
    reason = words.clean(chosen.get("slo_reason") or "").rstrip(".")
    why = f": {reason}" if reason else ""
    if not found:
        return f"No rate is known at which the objectives hold{why}."
    if len(rows) == 1:
        return f"How the rate within the objectives was found{why}. {confirmed(judged)}".rstrip()
    bounds = rate_bounds(chosen, "slo_ci_low", "slo_ci_high")
    rate = words.amount(known(chosen["slo_capacity_qps"]), *bounds, "requests/s")
    begin = f"The objectives are kept up to {rate}"
    if not math.isfinite(known(chosen.get("slo_ci_low"))):
        begin = f"By point estimates alone the objectives are kept up to {rate}"
    where = f" in the lowest of {len(rows)} repetitions"
    if len(found) < len(rows):
        where = f", but in {len(rows) - len(found)} of {len(rows)} repetitions nowhere"
    return f"{begin}{where}{why}. {confirmed(judged)}".rstrip()


def neighbours(data: ReportData, cells: Sequence[CellFacts]) -> str:
    """Say in how many steps other programs robbed the service of its CPUs; empty when in none."""
    names = {cell.name for cell in cells}
    robbed = [
        known(row.get("value"))
        for row in data.gates
        if (row.get("gate"), row.get("outcome")) == ("neighbours", "fail")
        and words.clean(row.get("cell")) in names
    ]
    if not robbed:
        return ""
    of = words.counted(sum(step.measured for cell in cells for step in cell.steps), "measured step")
    most = f"{two_digits(100 * max(robbed))}{NO_BREAK}%"
    return (
        f"In {len(robbed)} of {of} other programs used the service's CPUs, up to {most} of them: "
        "such a step is INVALID, says nothing about the service, and is left out."
    )


def failures(cells: Sequence[CellFacts]) -> str:
    """Say which cells failed; empty when none did."""
    failed = [cell for cell in cells if not cell.finished]
    if not failed:
        return ""
    causes = "; ".join(f"{cell.name}: {cell.cause or 'no cause recorded'}" for cell in failed)
    return words.sentence(f"{len(failed)} of {words.counted(len(cells), 'cell')} failed ({causes})")


def _capacities(data: ReportData, deployment: str) -> list[dict[str, Any]]:
    """Give the capacity over repetitions where there is one, else those of the cells."""
    joint = data.joint_capacity_of(deployment)
    return [joint] if joint is not None else data.capacity_of(deployment)


def verdicts_of(data: ReportData, deployment: str) -> list[dict[str, Any]]:
    """Give the verdicts on a deployment: over its repetitions where there are such, else of each run."""
    mine = [row for row in data.slos if words.clean(row.get("deployment")) == deployment]
    return [row for row in mine if row.get("cell") is None] or mine


def _spoken_objective(data: ReportData, deployment: str) -> dict[str, Any]:
    """Choose the statistic of the sentence: the SLO's that counts, else any SLO's, else p90."""
    timed = [
        row
        for row in data.slos
        if words.clean(row.get("deployment")) == deployment
        and row.get("metric") in _EVENTS
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


def _numbers(row: Mapping[str, Any]) -> tuple[float, float, float]:
    return known(row.get("value")), *words.bounds(row.get("ci_low"), row.get("ci_high"))


def _share(metric: str, stat: str, workload: object = None) -> str:
    """Give the beginning of a sentence about a statistic: "90 % of requests of chat end within"."""
    share = words.percentile(stat)
    things, verb = _EVENTS.get(metric, ("", ""))
    of = f" of {words.clean(workload)}" if workload else ""
    things = things and f"{things}{of}"
    if share is not None and things:
        who = f"half of the {things}" if share == 50 else f"{words.plain(share)} % of {things}"
        return f"{who} {verb}"
    if metric == "error_ratio":
        return f"the share of failed requests{of} is"
    name = f"{words.title(metric).lower()}{of}"
    return f"the {name} is" if stat == "value" else f"the {stat} of {name} is"


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
