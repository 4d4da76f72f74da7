"""What the death of a service costs: how soon it shows, when all is well again, and what was lost.

All times come from the request log and count from the moment of the kill, which the cell wrote
down. They are no finer than the gap between two requests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from escalade.analysis.gates.gate import CLIENT, why_invalid
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.measured.windows import has
from escalade.analysis.stats.intervals import MIN_REPETITIONS, over_repetitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import CellData

Status = Literal["recovered", "stays dead", "nothing lost", "undecided"]
TIMES = ("detect_seconds", "first_answer_seconds", "recover_seconds")
_OF_COPIES = ("back_seconds", "meanwhile", "held_ratio")
ONE_RUN = "this run only"


def recovery_rows(
    cells: Sequence[CellData], gates: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give the rows of the section `recovery` of verdicts.json.

    Parameters
    ----------
    cells
        What was measured; a step in which the service was killed says so in its outcome.
    gates
        Gate rows of all cells; those about the client decide whether the log can be trusted.

    Returns
    -------
    list of dict
        A row per cell, and one with `cell` None for a deployment of which three repetitions or more recovered: geometric
        means with the interval between runs. Times in seconds after the kill: `detect_seconds` to the end of the first
        request that failed, `first_answer_seconds` to the first good answer to a request sent after it, `recover_seconds` to
        the first good answer planned after the last request that was lost. `lost`: requests that failed, in flight at the
        kill or planned later. None where it never happened. Of a service with several copies `back_seconds` is the first good answer
        of the one that was killed, and `held_ratio` the share of the `meanwhile` requests planned until then (or until the end of
        the window) that were answered well.
    """
    rows = [
        _row(cell, step, gates)
        for cell in cells
        if any("failure" in outcome for outcome in cell.steps)
        for step in measured_steps(cell, ())
        if "failure" in step.outcome
    ]
    by_deployment: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_deployment.setdefault(row["deployment"], []).append(row)
    joined = [_joined(mine) for mine in by_deployment.values()]
    return rows + [row for row in joined if row is not None]


def _row(cell: CellData, step: MeasuredStep, gates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    facts: Mapping[str, Any] = step.outcome["failure"]
    found = _found(step, facts)
    status, words = _judged(found, facts, _client(cell, step, gates))
    return {
        "deployment": cell.deployment,
        "cell": cell.name,
        "step": step.number,
        **step.level.columns,
        **found,
        "status": status,
        "words": words,
    }


def _found(step: MeasuredStep, facts: Mapping[str, Any]) -> dict[str, Any]:
    killed, restarted = facts.get("killed_at"), facts.get("restarted_at")
    names = ("killed_seconds", "restarted_seconds", *TIMES, "lost", "sent_after", "gap_seconds")
    found: dict[str, Any] = dict.fromkeys((*names, *_OF_COPIES))
    found |= {"replicas": step.data.replicas, "replica": facts.get("replica")}
    if killed is None:
        return found
    log, at = step.log, float(killed)
    due = ~log.abandoned & ((log.planned >= at) | np.isnan(log.ended) | (log.ended >= at))
    lost, good = due & ~log.success, log.success & (log.sent >= at)
    known = lost & ~np.isnan(log.ended)
    after = good & (log.planned > log.planned[lost].max()) if lost.any() else good
    cohort = np.sort(step.cohort.planned)
    gap = float(np.median(np.diff(cohort))) if len(cohort) > 1 else math.nan
    return found | {
        "killed_seconds": at - step.window.start,
        "restarted_seconds": None if restarted is None else float(restarted) - at,
        "detect_seconds": _since(log.ended[known], at),
        "first_answer_seconds": _since(log.ended[good], at),
        "recover_seconds": _since(log.ended[after], at) if lost.any() else None,
        "lost": int(lost.sum()),
        "sent_after": int((log.planned >= at).sum()),
        "gap_seconds": finite(gap),
        **_held(step, at, facts.get("replica")),
    }


def _held(step: MeasuredStep, at: float, replica: int | None) -> dict[str, Any]:
    """Say when the copy that was killed answered again, and what share of the load was answered until then."""
    log = step.log
    if replica is None or not has(step.data.requests, "replica"):
        return {}
    own = (step.data.requests["replica"].iloc[log.rows] == replica).to_numpy(dtype=bool)
    back = _since(log.ended[own & log.success & (log.sent >= at)], at)
    until = step.window.end if back is None else at + back
    meanwhile = ~log.abandoned & (log.planned >= at) & (log.planned < until)
    count = int(meanwhile.sum())
    held = float(log.success[meanwhile].mean()) if count else None
    return {"back_seconds": back, "meanwhile": count, "held_ratio": held}


def _since(times: Any, at: float) -> float | None:
    return float(times.min()) - at if len(times) else None


def _client(cell: CellData, step: MeasuredStep, gates: Sequence[Mapping[str, Any]]) -> str | None:
    """Say which gate about the client failed; those about the service fail for the very reason."""
    failed = [
        gate
        for gate in gates
        if gate["cell"] == cell.name
        and gate["step"] == step.number
        and gate["gate"] in CLIENT
        and gate["outcome"] == "fail"
    ]
    return why_invalid(failed[0]) if failed else None


def _judged(
    found: Mapping[str, Any], facts: Mapping[str, Any], client: str | None
) -> tuple[Status, str]:
    if found["killed_seconds"] is None:
        return "undecided", "the step ended before the service was to be killed"
    note = f"; {facts['note']}" if facts.get("note") else ""
    note += "" if client is None else f"; {client}"
    note = _others(found) + note
    if not found["lost"]:
        return "nothing lost", f"no request failed after the kill, {ONE_RUN}{note}"
    lost = f"{found['lost']} of {found['sent_after']} requests planned after the kill or in flight lost"
    if found["recover_seconds"] is None:
        return "stays dead", f"{lost}; no good answer came after the last of them{note}"
    seen = found["detect_seconds"]
    detected = "no failure came back" if seen is None else f"detected after {seen:.3g} s"
    words = (
        f"{detected}, recovered after "
        f"{found['recover_seconds']:.3g} s, {lost}; times are no finer than {found['gap_seconds']:.2g} s "
        f"between requests; {ONE_RUN}{note}"
    )
    return ("recovered" if client is None else "undecided"), words


def _others(found: Mapping[str, Any]) -> str:
    """Say what the other copies held meanwhile, as a clause; nothing of a service without copies."""
    held, back = found["held_ratio"], found["back_seconds"]
    if held is None:
        return ""
    until = (
        "to the end of the window"
        if back is None
        else f"until it answered again after {back:.3g} s"
    )
    return (
        f"; replica {found['replica']} of {found['replicas']} was killed, and {100 * held:.3g} % of the "
        f"{found['meanwhile']} requests planned {until} were answered"
    )


def _joined(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    sound = [row for row in rows if row["status"] == "recovered"]
    if len(sound) < MIN_REPETITIONS:
        return None
    joined: dict[str, Any] = {**sound[0], "cell": None, "status": "recovered"}
    said = []
    for name in (*TIMES, "lost", "back_seconds"):
        values = [row[name] for row in sound if row[name] is not None]
        found = over_repetitions(values)
        numbers = {"": found.value, "_ci_low": found.low, "_ci_high": found.high}
        joined |= {f"{name}{end}": finite(value) for end, value in numbers.items()}
        if math.isfinite(found.value):
            words = name.removesuffix("_seconds").replace("_", " ")
            said.append(f"{words} {found.value:.3g} [{found.low:.3g}, {found.high:.3g}]")
    joined |= dict.fromkeys(("killed_seconds", "restarted_seconds", "sent_after"))
    joined |= dict.fromkeys(("meanwhile", "held_ratio"))
    words = f"{len(sound)} of {len(rows)} repetitions recovered: {', '.join(said)}"
    return {**joined, "words": words}
