"""What the load generator can do by itself: a step against a server that costs it nothing.

Before a cell's ladder its workload is sent to a null server, on the service's place, at
1.5 times the top rate. What is late there is the client's own, and so is the time that
lies between what it measured and what the server says that it took.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.gates.gate import Gate, at_most
from escalade.analysis.gates.instrument_gates import (
    MAX_BACKLOG_SHARE,
    MAX_CLIENT_CPU,
    MAX_LATE_RATIO,
    MAX_RATE_DEVIATION,
)
from escalade.analysis.kpis.calibration_kpis import STATS
from escalade.analysis.kpis.catalogue import WAITING
from escalade.analysis.kpis.request_kpis import send_rate
from escalade.analysis.kpis.steps import LATE_SECONDS, LATE_SHARE
from escalade.analysis.measured.windows import cohort, request_log, window_of
from escalade.analysis.stats.intervals import Estimate, percentiles, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.gates.gate import Outcome
    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.measured.windows import FloatArray, RequestLog, Window

FACTOR = 1.5
"""Rate of a calibration over the top rate of the ladder."""
_WORST: tuple[Outcome, ...] = ("fail", "unknown", "pass")


def calibrated(
    requests: pd.DataFrame,
    outcome: Mapping[str, Any],
    truth: pd.DataFrame,
    slos: Sequence[Slo] = (),
) -> dict[str, Any]:
    """Judge a calibration step.

    Parameters
    ----------
    requests
        Its request log, columns as in requests.parquet.
    outcome
        What its step came to, as in windows.json.
    truth
        What the null server says: `index` of the request, `seconds` that it took.
    slos
        Their limits on latency or time to first token decide which sends are late.

    Returns
    -------
    dict
        `outcome` ("pass", "fail" or "unknown") and one sentence, `detail`; the `checks` that
        it stands on, as gates; and the figures, None where there is none: `sent_qps`;
        `ceiling_qps`, the rate at which the busiest process would use 70 % of its core, or
        less where it fell behind; `lag_seconds` and `added_seconds` with p50 and p99, which
        is latency from the planned send less the server's own time.
    """
    window = window_of(outcome)
    if outcome.get("outcome") != "measured" or window is None:
        why = outcome.get("cause") or "the step has no window"
        return not_calibrated(f"the calibration step could not be measured: {why}")
    log = cohort(request_log(requests, int(outcome["step"])), window)
    client: Mapping[str, Any] = outcome.get("client") or {}
    checks = [
        _late(log, _late_after(slos)),
        _rate(log),
        _backlog(log, window, _late_after(slos)),
        _cpu(client),
        _suspended(client),
    ]
    worst = min(checks, key=lambda check: _WORST.index(check.outcome))
    return {
        "outcome": worst.outcome,
        "detail": "the client kept up" if worst.outcome == "pass" else worst.detail,
        "checks": [check.row("", 0) for check in checks],
        "requests": len(log),
        "failed": log.failures,
        "sent_qps": _sent_qps(log),
        "ceiling_qps": _ceiling(log, client, behind=worst.outcome == "fail"),
        "lag_seconds": _spread(log.dispatch_lag),
        "added_seconds": _spread(_added(log, requests, truth)),
    }


def not_calibrated(why: str) -> dict[str, Any]:
    """Give what stands where there is no calibration, with the reason."""
    figures = dict.fromkeys(("requests", "failed", "sent_qps", "ceiling_qps"))
    nothing = {stat: _stored(Estimate.missing(why)) for stat in STATS}
    return {
        "outcome": "unknown",
        "detail": why,
        "checks": [],
        **figures,
        "lag_seconds": nothing,
        "added_seconds": nothing,
    }


def calibration_gate(found: Mapping[str, Any]) -> Gate:
    """Say how the client of a cell was calibrated; it flags a step, whose own gates judge it."""
    target, ceiling = found.get("target_qps"), found.get("ceiling_qps")
    at = "" if target is None else f"{target:.4g} requests/s to a null server: "
    detail = f"{at}{found['detail']}"
    return Gate("client_calibration", found["outcome"], detail, ceiling, target, "1/s")


def _late_after(slos: Sequence[Slo]) -> float:
    """Give the lag from which on a send is late, in s: as in a step, by the limits alone."""
    limits = [slo.limit for slo in slos if slo.metric in WAITING]
    return max(LATE_SECONDS, LATE_SHARE * min(limits, default=0.0))


def _late(log: RequestLog, after: float) -> Gate:
    """Check for lateness; a few late requests among few prove nothing."""
    share = ratio(log.dispatch_lag > after)
    outcome = at_most(None if math.isnan(share.value) else share.value, MAX_LATE_RATIO)
    if outcome == "fail" and share.low <= MAX_LATE_RATIO:
        outcome = "unknown"
    detail = (
        f"{100 * share.value:.3g} % [{100 * share.low:.2g}, {100 * share.high:.2g}] of "
        f"{share.n} requests were sent more than {1000 * after:.4g} ms late; 1 % may be"
    )
    return Gate("late_ratio", outcome, detail, share.value, MAX_LATE_RATIO, "ratio")


def _sent_qps(log: RequestLog) -> float | None:
    """Give the rate of what was sent; None when that was fewer than two requests."""
    return send_rate(np.sort(log.sent[~np.isnan(log.sent)]))


def _rate(log: RequestLog) -> Gate:
    sent, planned = _sent_qps(log), send_rate(log.planned)
    value = None if sent is None or planned is None else abs(sent / planned - 1)
    detail = (
        "fewer than two requests were sent: no rate to compare"
        if value is None
        else f"{sent:.5g} of {planned:.5g} requests/s were sent; they may differ by 1 %"
    )
    outcome = at_most(value, MAX_RATE_DEVIATION)
    return Gate("arrival_rate", outcome, detail, value, MAX_RATE_DEVIATION, "ratio")


def _backlog(log: RequestLog, window: Window, after: float) -> Gate:
    due = log.planned + after < window.end
    unsent = np.isnan(log.sent) | (log.sent >= window.end)
    waiting = float((due & unsent).sum())
    limit = float(max(1, math.floor(MAX_BACKLOG_SHARE * len(log))))
    detail = f"{waiting:.0f} requests were due and unsent at the end; {limit:.0f} may be"
    return Gate("client_backlog", at_most(waiting, limit), detail, waiting, limit, "requests")


def _cpu(client: Mapping[str, Any]) -> Gate:
    value = client.get("cpu_ratio")
    detail = (
        "the client did not report its CPU time"
        if value is None
        else f"the busiest client process used {100 * value:.3g} % of a core; 70 % are allowed"
    )
    return Gate(
        "client_cpu", at_most(value, MAX_CLIENT_CPU), detail, value, MAX_CLIENT_CPU, "ratio"
    )


def _suspended(client: Mapping[str, Any]) -> Gate:
    value = client.get("suspended_seconds")
    detail = f"the client was stopped for {value or 0:.3g} s"
    return Gate("client_suspended", at_most(value, 0.0), detail, value, 0.0, "s")


def _ceiling(log: RequestLog, client: Mapping[str, Any], *, behind: bool) -> float | None:
    """Give the rate at 70 % of a core, were all CPU time in proportion to the rate.

    Part of it is not, so that a low rate leads to too low a ceiling. Where the client fell
    behind, the ceiling is at most what it sent.
    """
    sent, used = _sent_qps(log), client.get("cpu_ratio")
    if sent is None or not used:
        return None
    at_limit = sent * MAX_CLIENT_CPU / float(used)
    return min(sent, at_limit) if behind else at_limit


def _added(log: RequestLog, requests: pd.DataFrame, truth: pd.DataFrame) -> FloatArray:
    """Give latency less the server's own time, per good answer that the server knows."""
    index = requests["index"].to_numpy()[log.rows]
    own = truth.drop_duplicates("index").set_index("index")["seconds"].reindex(index).to_numpy()
    added = (log.ended - log.planned - own)[log.success]
    known: FloatArray = added[np.isfinite(added)]
    return known


def _spread(values: FloatArray) -> dict[str, dict[str, Any]]:
    found = percentiles(values, tuple(STATS.values()), "requests were never sent")
    return {stat: _stored(estimate) for stat, estimate in zip(STATS, found, strict=True)}


def _stored(estimate: Estimate) -> dict[str, Any]:
    """Make an estimate fit for JSON: a number that it can't hold becomes None."""
    content = asdict(estimate)
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in content.items()
    }
