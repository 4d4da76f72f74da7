"""Whether the load generator's live counters were there, and agree with the request log.

They draw pictures while a step runs; no KPI is made of them. So a failure flags a step and
no more: the request log is whole without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.gates.gate import Gate, passed

if TYPE_CHECKING:
    from escalade.analysis.gates.gate import Found

JOB = "load"
"""Scrape job of the counters."""
SENT = "escalade_load_sent_total"
OVER = "escalade_load_requests_total"
OF_JOB = f'job="{JOB}"'
MIN_COVERAGE = 0.95
_NAME = "live_metrics"


def live_metrics(found: Found) -> Gate | None:
    """Check the counters of a step; None for a cell that has none.

    They have to have been scraped, 95 % of the times at least, and the totals of the step have to be
    those of its request log: requests sent, and requests that are over.
    """
    step = found.step
    if all(target.get("job") != JOB for target in step.targets):
        return None
    coverage = found.worst("scrape_coverage_ratio", "value", min, only=OF_JOB)
    share = 0.0 if coverage is None else coverage[0]
    if share < MIN_COVERAGE:
        detail = f"{100 * share:.3g} % of the scrapes of the client's counters succeeded"
        return Gate(_NAME, "fail", detail, share, MIN_COVERAGE, "ratio")
    told = [_total(found, metric) for metric in (SENT, OVER)]
    if None in told:
        detail = "no scrape of the client's counters came after the last answer: totals unknown"
        return Gate(_NAME, "unknown", detail, None, 0, "requests")
    logged = [int(np.isfinite(step.log.sent).sum()), len(step.log)]
    off = max(abs((live or 0.0) - true) for live, true in zip(told, logged, strict=True))
    detail = (
        f"the client's counters say {told[0]:.0f} sent and {told[1]:.0f} over; "
        f"the request log {logged[0]} and {logged[1]}"
    )
    return Gate(_NAME, passed(off == 0), detail, off, 0, "requests")


def _total(found: Found, metric: str) -> float | None:
    """Add a counter up over workers; None unless each was scraped once all was over."""
    step = found.step
    tracks = step.samples.tracks(metric, step=str(step.number))
    if not tracks or min(track.times[-1] for track in tracks) < step.drained_at:
        return None
    return float(sum(track.levels[-1] for track in tracks))
