"""How objectives ended, in sentences: at a step, along the ladder, and up to which rate they hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import AXES, at, level
from escalade.report.sections.held import confirmed, rate_bounds
from escalade.report.sections.objectives import objective
from escalade.report.sections.phrases import beginning, numbers
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts


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
    share = beginning(metric, stat, row.get("workload"))
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
    amount = words.amount(*numbers(row), unit)
    ending = {
        "PASS": f"the {limit} is kept{because}",
        "FAIL": f"the {limit} is missed{because}",
    }.get(str(verdict), f"whether the {limit} is kept is undecided{because}")
    return words.sentence(f"{where} {share} {amount}; {ending}")


def informative(data: ReportData, deployment: str) -> list[str]:
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


def verdicts_of(data: ReportData, deployment: str) -> list[dict[str, Any]]:
    """Give the verdicts on a deployment: over its repetitions where there are such, else of each run."""
    mine = [row for row in data.slos if words.clean(row.get("deployment")) == deployment]
    return [row for row in mine if row.get("cell") is None] or mine
