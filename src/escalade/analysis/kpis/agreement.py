"""Whether client and server counted the same, from idle to idle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from escalade.analysis.kpis.replicas import unseen
from escalade.analysis.measured.series import Samples, Track
from escalade.analysis.stats.intervals import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import FloatArray, IntArray, RequestLog

TOLERANCE = 0.01
METHOD = "bounds: what can't be attributed counts fully or not at all"


@dataclass(frozen=True)
class Agreement:
    """Client's count over server's count of one quantity.

    Attributes
    ----------
    estimate
        The ratio; its bounds leave out, or count fully, the requests whose
        share of the server's count is unknown: failed ones, and those under
        way at a sample because there is none from before or after.
    declared
        Whether the recipe declares a quantity at all.
    detail
        One sentence.
    """

    estimate: Estimate
    declared: bool
    detail: str

    @property
    def outcome(self) -> Literal["pass", "fail", "unknown"]:
        """Say "pass" when all of it lies within the tolerance, "fail" when none of it does."""
        low, high = self.estimate.low, self.estimate.high
        if math.isnan(low) or math.isnan(high):
            return "unknown"
        if low > 1 + TOLERANCE or high < 1 - TOLERANCE:
            return "fail"
        return "pass" if low >= 1 - TOLERANCE and high <= 1 + TOLERANCE else "unknown"


def agreement_of(step: MeasuredStep) -> Agreement:
    """Compare the client's total over a whole step with the growth of the server's counter."""
    declared = step.data.environment.get("agreement")
    if not declared:
        return _none("the recipe declares no quantity to compare", declared=False)
    quantity, raw = str(declared["quantity"]), str(declared["metric"])
    if absent := unseen(step, 1):
        return _none(absent, declared=True)
    span = _idle_samples(step, raw)
    if span is None:
        return _none(f"fewer than two samples of {raw} around the step", declared=True)
    counter, begin, end = span
    server = float(
        np.interp(end, counter.times, counter.levels)
        - np.interp(begin, counter.times, counter.levels)
    )
    counts = _counts(step.log, quantity)
    if np.isnan(counts[step.log.success]).any():
        return _none(f"the server gave no {quantity} with some answers", declared=True)
    return _compared(step, counts, server, (begin, end), quantity)


def _none(why: str, *, declared: bool) -> Agreement:
    return Agreement(Estimate.missing(why), declared, why)


def _counts(log: RequestLog, quantity: str) -> FloatArray:
    counts = {
        "requests": np.ones(len(log)),
        "output_tokens": log.output_tokens,
        "input_tokens": log.input_tokens,
    }
    return counts.get(quantity, np.full(len(log), np.nan))


def _seen(log: RequestLog, chunks: IntArray, quantity: str) -> float:
    """Give what clients had of the requests that they abandoned, as far as they can tell."""
    if quantity == "requests":
        return float(log.abandoned.sum())
    return float(chunks[log.abandoned].sum()) if quantity == "output_tokens" else 0.0


def _compared(
    step: MeasuredStep, counts: FloatArray, server: float, span: tuple[float, float], quantity: str
) -> Agreement:
    log, (begin, end) = step.log, span
    good, seen = log.success, _seen(log, step.chunks.counts, quantity)
    cut = good & ((log.sent < begin) | (log.ended > end))
    lost = int((~good & ~np.isnan(log.sent)).sum())
    left = int(log.abandoned.sum())
    largest = float(counts[good].max()) if good.any() else math.nan
    total = float(counts[good].sum())
    if server <= 0 or not total:
        return _none(
            f"client counted {total:.0f} {quantity}, the server {server:.0f}", declared=True
        )
    low, high = total - float(counts[cut].sum()), total + lost * largest
    parts = [f"client {total + seen:.0f}, server {server:.0f} {quantity} over the whole step"]
    if lost > left:
        parts.append(f"{lost - left} failed requests may have been counted by the server")
    if left:
        parts.append(
            f"{left} abandoned requests, with {seen:.0f} {quantity} up to then, may have been "
            "counted by the server in part, whole, or not at all"
        )
    if cut.any():
        parts.append(f"{int(cut.sum())} requests were under way at the first or last sample")
    found = Estimate((total + seen) / server, low / server, high / server, METHOD, int(good.sum()))
    return Agreement(found, declared=True, detail="; ".join(parts))


def _idle_samples(step: MeasuredStep, raw: str) -> tuple[Track, float, float] | None:
    """Find the counter, and the samples between which only this step's requests ran.

    The last sample before the first request, and the last one before the next
    step's first request; where there is none, the nearest inside.
    """
    cell = Samples(step.data.series, step.samples.interval).only([raw, "up"])
    tracks = [from_birth(track, cell) for track in cell.tracks(raw)]
    total = cell.summed([track.cumulative() for track in tracks], hold=True)
    sent = step.log.sent[~np.isnan(step.log.sent)]
    if total is None or not len(sent):
        return None
    before, after = total.times[total.times <= sent[0]], _times_until_next(step, total.times)
    begin = float(before[-1]) if len(before) else float(total.times[0])
    if not len(after) or after[-1] <= begin:
        return None
    return total, begin, float(after[-1])


def _times_until_next(step: MeasuredStep, times: FloatArray) -> FloatArray:
    later = [
        float(outcome["started_at"])
        for outcome in step.data.steps
        if int(outcome["step"]) > step.number and outcome.get("started_at") is not None
    ]
    return times[times < min(later, default=math.inf)]


def from_birth(track: Track, cell: Samples) -> Track:
    """Give a counter that appears later than its target a zero before its first sample.

    Clients create a labelled counter with its first event; its first value is growth.
    """
    scrapes = _successful_scrapes(cell.tracks("up"), track)
    earlier = scrapes[scrapes < track.times[0] - cell.interval / 2]
    if not len(earlier):
        return track
    return Track(
        track.labels,
        np.concatenate([earlier[-1:], track.times]),
        np.concatenate([[0.0], track.levels]),
    )


def _successful_scrapes(tracks: Sequence[Track], counter: Track) -> FloatArray:
    own = [
        track.times[track.levels == 1]
        for track in tracks
        if all(track.labels.get(key) == counter.labels.get(key) for key in ("instance", "job"))
    ]
    return np.concatenate(own) if own else np.empty(0)
