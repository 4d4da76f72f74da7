"""Gates on the instrument: where one fails, the step's figures can't be trusted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.gates.gate import Gate, at_most, not_applicable, passed, two_digits
from escalade.analysis.gates.live_metrics import OF_JOB
from escalade.analysis.kpis.agreement import TOLERANCE, agreement_of
from escalade.analysis.kpis.clocks import clock_error, farthest_gap_cv
from escalade.analysis.kpis.replicas import grouped
from escalade.analysis.kpis.request_kpis import send_rate
from escalade.analysis.kpis.series_kpis import UNMONITORED, raw_name
from escalade.analysis.measured.levels import RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.analysis.gates.gate import Found
    from escalade.analysis.kpis.steps import MeasuredStep

MAX_LATE_RATIO = 0.01
MAX_RATE_DEVIATION = 0.01
MAX_CV_DEVIATION = 0.05
MAX_BACKLOG_SHARE = 0.01
MAX_CLIENT_CPU = 0.70
MAX_SUSPENDED_SECONDS = 0.0
MIN_COVERAGE = 0.95
MAX_NEIGHBOURS = 0.10


def late_ratio(found: Found) -> Gate:
    """Check that the client sent on time: at most 1 % later than max(5 ms, 5 % of the judged latency)."""
    if found.step.level.name != RATE:
        return not_applicable("late_ratio", _unplanned(found))
    value, after = found.value("late_ratio"), found.step.late_after_seconds
    share = "no request was planned" if value is None else f"{100 * value:.3g} % of the requests"
    detail = (
        f"{share} were sent more than {1000 * after:.4g} ms after their planned time; "
        "at most 1 % may be"
    )
    outcome = at_most(value, MAX_LATE_RATIO)
    return Gate("late_ratio", outcome, detail, value, MAX_LATE_RATIO, "ratio", invalidates=True)


def arrival_rate(found: Found) -> Gate:
    """Check that the sent rate is within 1 % of the plan."""
    if found.step.level.name != RATE:
        return not_applicable("arrival_rate", _unplanned(found))
    scheduled = found.step.scheduled
    sent = send_rate(np.sort(scheduled.sent[~np.isnan(scheduled.sent)]))
    planned = send_rate(scheduled.planned)
    if sent is None or planned is None:
        value, detail = None, "fewer than two requests were sent in the window: no rate to compare"
    else:
        value = abs(sent / planned - 1)
        detail = (
            f"sent {sent:.5g} requests/s of the {planned:.5g} that the schedule plans; "
            "they may differ by 1 %"
        )
    outcome = at_most(value, MAX_RATE_DEVIATION)
    return Gate(
        "arrival_rate", outcome, detail, value, MAX_RATE_DEVIATION, "ratio", invalidates=True
    )


def gap_cv(found: Found) -> Gate:
    """Check that the gaps between sends vary as planned, within 0.05.

    Several nodes send by clocks that are known to a bound: where that could hide a larger
    difference, it is unknown.
    """
    if found.step.level.name != RATE:
        return not_applicable("gap_cv", _unplanned(found))
    sent, planned = found.value("gap_cv"), found.value("planned_gap_cv")
    if sent is None or planned is None:
        value, detail = None, "fewer than three requests were sent in the window: no spread of gaps"
    else:
        value = abs(sent - planned)
        detail = (
            f"the gaps between sends vary by {sent:.3f} of their mean, those of the schedule "
            f"by {planned:.3f}; they may differ by 0.05"
        )
    outcome = at_most(value, MAX_CV_DEVIATION)
    if outcome == "pass" and planned is not None and (doubt := _clock_doubt(found, planned)):
        outcome, detail = "unknown", f"{detail}; {doubt}"
    return Gate("gap_cv", outcome, detail, value, MAX_CV_DEVIATION, "ratio", invalidates=True)


def _clock_doubt(found: Found, planned: float) -> str | None:
    """Say why the clocks of the client's nodes leave the gaps in doubt; None when they don't."""
    if len(found.step.client.get("nodes", ())) < 2:
        return None
    error = clock_error(found.step.client)
    if error is None:
        return "but how the clocks of the client's nodes went is not known"
    farthest = farthest_gap_cv(found.step, planned)
    if farthest <= MAX_CV_DEVIATION:
        return None
    return (
        f"but the clocks of the client's nodes are known to {1000 * error:.3g} ms only, with which "
        f"they may differ by {farthest:.2g}: fewer nodes, or a lower rate, would tell"
    )


def client_backlog(found: Found) -> Gate:
    """Check that the client had no pile of unsent requests when the window ended."""
    if found.step.level.name != RATE:
        return not_applicable("client_backlog", _unplanned(found))
    step, cohort = found.step, found.step.cohort
    due = cohort.planned + step.late_after_seconds < step.window.end
    unsent = np.isnan(cohort.sent) | (cohort.sent >= step.window.end)
    waiting = float((due & unsent).sum()) if len(cohort) else None
    limit = float(max(1, math.floor(MAX_BACKLOG_SHARE * len(cohort))))
    detail = (
        f"{waiting or 0:.0f} requests were due and unsent when the window ended; "
        f"{limit:.0f} may be (1 % of {len(cohort)}, at least one)"
    )
    outcome = at_most(waiting, limit)
    return Gate("client_backlog", outcome, detail, waiting, limit, "requests", invalidates=True)


def _unplanned(found: Found) -> str:
    return f"{found.step.level.words}: no times are planned, so none can be missed"


def client_cpu(found: Found) -> Gate:
    """Check that no client process used more than 70 % of the one core that it can use."""
    value = found.value("client_cpu_ratio")
    detail = "the client did not report its CPU time"
    if value is not None:
        detail = (
            f"the busiest client process used {100 * value:.3g} % of a core; 70 % are allowed: "
            "raise load.workers, each with a core of its own"
        )
    outcome = at_most(value, MAX_CLIENT_CPU)
    return Gate(
        "client_cpu", outcome, detail, value, MAX_CLIENT_CPU, "ratio", invalidates=value is not None
    )


def client_suspended(found: Found) -> Gate:
    """Check that the client was never stopped."""
    value = found.value("client_suspended_seconds")
    known = "the client did not report whether it was stopped"
    detail = known if value is None else f"the client was stopped for {value:.3g} s"
    outcome = at_most(value, MAX_SUSPENDED_SECONDS)
    return Gate("client_suspended", outcome, detail, value, 0.0, "s", invalidates=True)


def started_idle(found: Found) -> Gate:
    """Check that nothing of the step before was in the way: it had drained, or the service was idle.

    Requests given up at the drain timeout may go on in the service; only its
    own gauges can say that they do not.
    """
    step = found.step
    earlier = [outcome for outcome in step.data.steps if int(outcome["step"]) < step.number]
    before = earlier[-1] if earlier else {}
    if before.get("drained") is not False or before.get("started_at") is None:
        detail = "nothing was in flight when the step began"
        return Gate("started_idle", "pass", detail, invalidates=True)
    busy = _requests_at_start(step)
    left = f"step {before['step']} had not drained"
    if busy is None:
        detail = f"{left}: its requests may have been in the service, which does not report them"
    else:
        detail = f"{left}; the service reported {busy:.0f} requests when this step began"
    return Gate("started_idle", passed(busy == 0), detail, busy, 0.0, "requests", invalidates=True)


def _requests_at_start(step: MeasuredStep) -> float | None:
    """Give the requests that the service had just before the step's first; None when it is unknown."""
    sent = step.log.sent[~np.isnan(step.log.sent)]
    if not len(sent):
        return None
    begin, total = float(sent.min()), 0.0
    for metric in ("queue_length", "requests_running"):
        raw = raw_name(metric, step)
        for part in (grouped(step, step.samples.tracks(raw)) if raw else None) or [[]]:
            track = step.samples.summed(part)
            place = -1
            if track is not None:
                place = int(np.searchsorted(track.times, begin, side="right")) - 1
            if track is None or place < 0 or begin - track.times[place] > step.samples.max_age:
                return None
            total += float(track.levels[place])
    return total


def scrape_coverage(found: Found) -> Gate:
    """Check that at least 95 % of the scrapes of every target succeeded."""
    if not found.step.data.monitored:
        return not_applicable("scrape_coverage", UNMONITORED)
    worst = found.worst("scrape_coverage_ratio", "value", min, but=OF_JOB)
    if worst is None:
        value, outcome, detail = None, at_most(None, 0), "no sample of `up` says what was scraped"
    else:
        value, outcome = worst[0], passed(worst[0] >= MIN_COVERAGE)
        detail = (
            f"{100 * value:.3g} % of the scrapes of the worst target, {worst[1]}, succeeded; "
            "at least 95 % have to"
        )
    return Gate("scrape_coverage", outcome, detail, value, MIN_COVERAGE, "ratio", invalidates=True)


def scrape_gap(found: Found) -> Gate:
    """Check that no target was away for more than 3 s, or three scrape intervals if longer."""
    if not found.step.data.monitored:
        return not_applicable("scrape_gap", UNMONITORED)
    limit = found.step.samples.max_gap
    worst = found.worst("scrape_gap_seconds", "max", max, but=OF_JOB)
    value = worst[0] if worst else None
    detail = "no sample of `up` says what was scraped"
    if worst:
        detail = f"the longest hole was {worst[0]:.3g} s, in {worst[1]}; {limit:.3g} s are allowed"
    outcome = at_most(value, limit)
    return Gate("scrape_gap", outcome, detail, value, limit, "s", invalidates=True)


def client_server_agreement(found: Found) -> Gate:
    """Check that client and server counted the same, within 1 %, from idle to idle.

    Nothing declared, or failed requests that leave it open, make it unknown
    without invalidating; samples that should be there and are not do.
    """
    if not found.step.data.monitored:
        return not_applicable("client_server_agreement", UNMONITORED)
    agreement = agreement_of(found.step)
    ratio = agreement.estimate.value
    value = None if math.isnan(ratio) else abs(ratio - 1)
    left_open = agreement.outcome == "unknown" and value is not None
    return Gate(
        "client_server_agreement",
        agreement.outcome,
        agreement.detail,
        value,
        TOLERANCE,
        "ratio",
        invalidates=agreement.declared and not left_open,
    )


def neighbours(found: Found) -> Gate:
    """Check that other programs used at most 10 % of the service's CPUs.

    Where that can't be told (shared CPUs, missing samples) it is unknown
    without invalidating.
    """
    if not found.step.data.monitored:
        return not_applicable("neighbours", UNMONITORED)
    value = found.value("neighbour_cpu_ratio")
    if value is None:
        detail = found.quality("neighbour_cpu_ratio").removeprefix("missing: ")
    else:
        detail = f"other programs used {two_digits(100 * value)} % of the service's CPUs; at most 10 % may be"
    outcome = at_most(value, MAX_NEIGHBOURS)
    return Gate(
        "neighbours", outcome, detail, value, MAX_NEIGHBOURS, "ratio", invalidates=value is not None
    )


CLIENT: tuple[Callable[[Found], Gate], ...] = (
    late_ratio,
    arrival_rate,
    gap_cv,
    client_backlog,
    client_cpu,
    client_suspended,
)
"""Those that need nothing but the request log and the client's own figures."""
INSTRUMENT: tuple[Callable[[Found], Gate], ...] = (
    *CLIENT,
    started_idle,
    scrape_coverage,
    scrape_gap,
    client_server_agreement,
    neighbours,
)
