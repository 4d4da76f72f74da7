"""Runs one step of a ladder: starts the load generator, watches it, says what came of it."""

from __future__ import annotations

import time
from dataclasses import asdict
from math import nan
from typing import TYPE_CHECKING, Any

from escalade.files import read_json, tail, write_json
from escalade.load import hopeless, workers
from escalade.load.plan import SCHEMA, LoadStep, live_file, workload_file, write_plan
from escalade.load.records import Records, write_requests
from escalade.load.rows import PlannedRows, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from escalade.load.generator import Generator

__all__ = ["LoadStep", "run_step"]

_WATCH_SECONDS = 0.5
_START_SECONDS = 60.0  # of its start-up: imports on a busy machine, first users
_END_SECONDS = 30.0  # of writing a large request log


def run_step(
    step: LoadStep,
    generator: Generator,
    watch: Callable[[], str | None],
    progress: Path | None = None,
) -> dict[str, Any]:
    """Send a step's requests and record what comes back.

    Parameters
    ----------
    step
        What to run and where to write.
    generator
        What sends the requests: on this node, another one, or several.
    watch
        Called twice a second while the step runs, and once after it. A string says
        that the service has failed and why: the step ends at once.
    progress
        Rewritten once a second with the live figures; None for none.

    Returns
    -------
    dict
        The outcome, as written to `outcome.json`: "measured"; "abandoned", when more
        requests were beyond one of the step's `bounds` than may be, with the evidence: the
        window ends where sending did, and the rows after it are `not_sent`; "service_failed" with
        the cause that `watch` gave; or "client_failed", when the load generator
        died or hung, with the end of its log. Every row of the schedule has its row
        in one of `requests-*.parquet` in each case. Requests that fail are data: a
        service that refuses all of them is "measured".

    Raises
    ------
    InputError
        When the schedule, the step or the workload does not exist.
    InfrastructureError
        When a file can't be written.
    """
    rows = read_rows(step.schedule, step.step)
    workloads = list(dict.fromkeys(workload_file(part.workload) for part in step.parts))
    each = step.each()
    _clear(step)
    for worker in each:
        write_plan(worker.plan_file, worker, progress)
    generator.run([(_argv(worker, workloads), worker.log) for worker in each])
    try:
        outcome, cause = _supervise(generator, watch, _longest(step, rows), _Hope(step, progress))
    finally:
        generator.stop()
    content = _outcome(step, rows, outcome, cause)
    if nodes := generator.nodes():
        content["client"]["nodes"] = nodes
    if outcome == "client_failed" and not content["log_tail"]:
        content["log_tail"] = tail(generator.log)
    write_json(step.outcome_file, content)
    return content


def _clear(step: LoadStep) -> None:
    step.outcome_file.unlink(missing_ok=True)
    step.give_up_file.unlink(missing_ok=True)
    for worker in step.each():
        for file in (worker.requests_file, worker.started_file, worker.client_file):
            file.unlink(missing_ok=True)


def _argv(worker: LoadStep, workloads: Sequence[Path]) -> list[str]:
    told = ["--escalade-step", str(worker.plan_file)]
    where = ["-f", ",".join(map(str, workloads)), "--host", worker.host.rstrip("/")]
    return [*told, *where, "--headless", "--only-summary", "--users", "1", "--spawn-rate", "1"]


class _Hope:
    """Gives a step up when the counts of its workers have decided it."""

    def __init__(self, step: LoadStep, progress: Path | None) -> None:
        self._step = step
        self._live = (
            [live_file(progress, worker) for worker in range(step.workers)] if progress else []
        )
        self._lost = not step.bounds

    def look(self) -> None:
        """Read what was counted; tell the workers to stop once it is enough."""
        if self._lost:
            return
        counts = hopeless.told(self._live, self._step.step, self._step.bounds)
        if found := hopeless.decided(self._step.bounds, counts):
            self._lost = True
            bound, count = found
            write_json(self._step.give_up_file, {**asdict(bound), "count": count})


def _supervise(
    generator: Generator, watch: Callable[[], str | None], longest: float, hope: _Hope
) -> tuple[str, str | None]:
    """Wait for the end of the step; give its outcome and the cause, if it has one."""
    awake = 0.0  # a stopped driver (Ctrl-Z) must not take its own pause for a hang
    seen = time.monotonic()
    while True:
        code = generator.wait(_WATCH_SECONDS)
        if cause := watch():
            return "service_failed", cause
        if code is not None:
            return ("measured", None) if code == 0 else ("client_failed", generator.describe(code))
        hope.look()
        awake += min(time.monotonic() - seen, 2 * _WATCH_SECONDS)
        seen = time.monotonic()
        if awake > longest:
            return "client_failed", f"the load generator did not end within {longest:.0f} s"


def _outcome(step: LoadStep, rows: PlannedRows, outcome: str, cause: str | None) -> dict[str, Any]:
    told = [_facts_of(worker, rows) for worker in step.each()]
    if outcome == "measured" and not all(facts["complete"] for facts in told):
        outcome, cause = "client_failed", "the load generator ended before the step was over"
    window = int(rows.in_window.sum())
    planned = {"warmup": len(rows) - window, "window": window}
    ends = [facts["given_up_at"] for facts in told if facts.get("given_up_at") is not None]
    content = {
        "schema": SCHEMA,
        "step": step.step,
        **rows.plan.facts,
        "outcome": outcome,
        "cause": cause,
        "log_tail": _last_words(step) if outcome == "client_failed" else [],
        **workers.joined(told),
        "planned": rows.plan.planned() if rows.plan.open_ended else planned,
    }
    if outcome == "measured" and ends:
        content |= _given_up(step, content, min(ends))
    return content


def _given_up(step: LoadStep, content: dict[str, Any], at: float) -> dict[str, Any]:
    """Say of a step that was given up what was seen, and end its window where sending did."""
    evidence = read_json(step.give_up_file, "Evidence against the step")
    beyond = (
        "failed" if evidence["metric"] == "error_ratio" else f"were beyond {evidence['limit']:g} s"
    )
    planned_end = content["window_end"]
    return {
        "outcome": "abandoned",
        "cause": f"abandoned after {at - content['window_start']:.1f} of "
        f"{planned_end - content['window_start']:.1f} s: {evidence['count']} of the "
        f"{evidence['planned']} requests of the window {beyond} ({evidence['slo']}), "
        f"and more than {evidence['most']} decide it",
        "window_end": at,
        "abandoned": {**evidence, "at": at, "planned_end": planned_end},
    }


def _last_words(step: LoadStep) -> list[str]:
    """Give the end of the log of the first worker that left no report, else of the first."""
    each = step.each()
    lost = [worker for worker in each if not worker.client_file.exists()]
    return tail((lost or each)[0].log)


def _facts_of(worker: LoadStep, rows: PlannedRows) -> dict[str, Any]:
    if worker.client_file.exists() and worker.requests_file.exists():
        facts: dict[str, Any] = read_json(worker.client_file, "Report of the load generator")
        return facts
    return _facts_of_lost(worker, rows.part(worker.worker, worker.workers))


def _facts_of_lost(worker: LoadStep, rows: PlannedRows) -> dict[str, Any]:
    """Write the log of a worker that died with its memory: all its rows are lost."""
    started = None
    if worker.started_file.exists():
        started = read_json(worker.started_file, "Start of the load step")["started_at"]
    if rows.plan.open_ended:  # nobody knows what it had sent
        rows = rows.first(0)
    records = Records(rows, max(1, len(worker.hosts)))
    records.errors = ["aborted"] * len(rows)
    table = records.table(
        worker.repetition, worker.worker, nan if started is None else started, 0.0
    )
    write_requests(worker.requests_file, table)
    facts: dict[str, Any] = dict.fromkeys(workers.TIMES) | {"drained": False, "complete": False}
    if started is not None:
        start, end = rows.plan.bounds("window")
        facts |= {"started_at": started}
        facts |= {"window_start": started + start, "window_end": started + end}
    return facts


def _longest(step: LoadStep, rows: PlannedRows) -> float:
    _, end = rows.plan.bounds("window")
    return _START_SECONDS + end + step.drain_timeout_seconds + _END_SECONDS
