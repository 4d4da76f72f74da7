"""KPIs of a step that come from the request log."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.kpis.catalogue import BY_NAME, LOG, QUEUED, SHARES, TIMES, WAITING
from escalade.analysis.kpis.client_kpis import client_readings, sends
from escalade.analysis.kpis.hopeless import of_hopeless
from escalade.analysis.kpis.loop_kpis import AT_ONCE, NOTHING_PLANNED, loop_readings
from escalade.analysis.kpis.noted_kpis import noted_metrics
from escalade.analysis.kpis.readings import (
    LARGEST_OF_ALL,
    NO_REQUEST,
    Reading,
    label_of,
    largest,
    missing,
    plain,
)
from escalade.analysis.measured.levels import HIDES, PILE
from escalade.analysis.measured.windows import (
    NOT_DUE,
    completions,
    gap_cv,
    has,
    occupancy,
    tokens_per_block,
)
from escalade.analysis.stats.clusters import Clustered, ratio_of_sums
from escalade.analysis.stats.intervals import (
    Estimate,
    mean,
    percentiles,
    poisson,
    ratio,
)
from escalade.analysis.stats.sampled import over_samples

if TYPE_CHECKING:
    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.measured.windows import FloatArray, Occupancy, RequestLog

TOKEN_BLOCKS = 10
CONCURRENCY_SLICES = 100
RESOLUTION_FACTOR = 10.0
"""A time below this many times the client's resolution is flagged."""

OVER_SATURATED = "over-saturated, latency is a function of time"
_RATES = ("arrival_rate_qps", "gap_cv", "offered_load_erlangs")
_PLANNED = ("offered_qps", "planned_gap_cv")
EMPTY_LOG = "the request log has no row of this step"


def request_readings(step: MeasuredStep) -> list[Reading]:
    """Compute every KPI of the log; an empty cohort leaves most of them missing."""
    if not len(step.log):
        own = [
            name
            for name, metric in BY_NAME.items()
            if metric.source.startswith(LOG) and not metric.where_used
        ]
        unlogged = [name for name in own if name != "client_server_agreement_ratio"]
        return [
            plain(step.level.name, step.level.value, ""),
            *missing(unlogged, EMPTY_LOG),
            *client_readings(step),
        ]
    readings = [
        *_load(step),
        *_throughput(step),
        *(flagged(reading, step) for reading in (*times(step), *loop_readings(step))),
        *tokens(step),
        *_concurrency(step),
        *sends(step),
        *client_readings(step),
    ]
    return readings if step.given_up is None else of_hopeless(step, readings)


def _load(step: MeasuredStep) -> list[Reading]:
    sent = np.sort(step.cohort.sent[~np.isnan(step.cohort.sent)])
    rate = send_rate(sent)
    few = f"{len(sent)} requests were sent in the window: a rate needs two"
    scheduled = step.scheduled
    apart = np.sort(scheduled.sent[~np.isnan(scheduled.sent)])
    gaps = f"{len(apart)} requests were sent in the window: a spread of gaps needs three"
    if step.level.at_once:
        return missing((*_RATES, *_PLANNED), AT_ONCE)
    planned: list[Reading] = (
        missing(_PLANNED, NOTHING_PLANNED)
        if step.level.closed
        else [
            plain("target_qps", step.target_qps, ""),
            plain("offered_qps", len(step.cohort) / step.window.seconds, "", n=len(step.cohort)),
            plain("planned_gap_cv", gap_cv(scheduled.planned), gaps, n=len(scheduled)),
        ]
    )
    return [
        *planned,
        plain("arrival_rate_qps", rate, few, n=len(sent)),
        plain("gap_cv", gap_cv(apart), gaps, n=len(apart)),
        Reading("offered_load_erlangs", "value", _erlangs(step, rate)),
        *_never_due(step),
    ]


def _never_due(step: MeasuredStep) -> list[Reading]:
    """Count later turns that never came, over the whole step; nothing without conversations."""
    requests = step.data.requests
    if not has(requests, "turn"):
        return []
    mine = requests[requests["step"] == step.number]
    later = int((mine["turn"] > 1).sum())
    return [plain("turns_not_due", int((mine["error"] == NOT_DUE).sum()), "", n=later)]


def send_rate(times: FloatArray) -> float | None:
    """Give (N − 1) / (last − first) of ascending times; None for fewer than two."""
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    return float((len(times) - 1) / (times[-1] - times[0]))


def _erlangs(step: MeasuredStep, rate: float | None) -> Estimate:
    answered = step.cohort.success | step.cohort.abandoned
    good = step.cohort.only(answered & ~np.isnan(step.cohort.sent))
    if rate is None or not len(good):
        return Estimate.missing("it needs an arrival rate and a good answer")
    service = mean(good.ended - good.sent)
    value, method = rate * float((good.ended - good.sent).mean()), f"{service.method} × sent rate"
    if not service.method:
        return Estimate(value, n=service.n, n_eff=service.n_eff)
    low, high = max(0.0, rate * service.low), rate * service.high
    found = Estimate(value, min(low, value), high, method, service.n, service.n_eff)
    if not step.cohort.failures:
        return found
    lost = f"without failed requests: {step.failures}"
    return replace(found, high=math.inf).flagged(lost)


def _throughput(step: MeasuredStep) -> list[Reading]:
    return [throughput(step), *goodput(step), errors(step), *abandoned(step)]


def throughput(step: MeasuredStep) -> Reading:
    """Count the good answers that ended in the window."""
    done, seconds = completions(step.log, step.window), step.window.seconds
    low, high = poisson(done)
    found = Estimate(done / seconds, low / seconds, high / seconds, "Poisson", done, float(done))
    return Reading("throughput_qps", "value", found)


def errors(step: MeasuredStep) -> Reading:
    """Give the share of requests without a good answer, of those that were awaited."""
    found = ratio(~step.judged.success) if len(step.judged) else Estimate.missing(NO_REQUEST)
    return Reading("error_ratio", "value", found)


def abandoned(step: MeasuredStep) -> list[Reading]:
    """Give the share of requests that clients left; nothing where none ever does."""
    if not has(step.data.requests, "leaving"):
        return []
    left = step.cohort.abandoned
    found = ratio(left) if len(left) else Estimate.missing(NO_REQUEST)
    return [Reading("abandoned_ratio", "value", found)]


def goodput(step: MeasuredStep) -> list[Reading]:
    """Give the rate of answers within an objective's limit, for each that judges such a time."""
    slos = [slo for slo in step.slos if slo.metric in WAITING]
    if not slos:
        return missing(["goodput_qps"], "no SLO on latency_seconds or ttft_seconds")
    return [
        Reading("goodput_qps", "value", _good(step, slo), label_of({"slo": slo.name}))
        for slo in slos
    ]


def _good(step: MeasuredStep, slo: Slo) -> Estimate:
    judged = step.judged if slo.metric == "latency_seconds" else step.streamed
    if not len(judged):
        return Estimate.missing(NO_REQUEST)
    values = judged.latency if slo.metric == "latency_seconds" else judged.ttft
    share, offered = ratio(values <= slo.limit), len(judged) / step.window.seconds
    return replace(
        share,
        value=share.value * offered,
        low=share.low * offered,
        high=share.high * offered,
        method=f"{share.method} × offered rate",
    )


def times(step: MeasuredStep) -> list[Reading]:
    """Give latency, time to first token, token gaps and time per token."""
    if not len(step.judged):
        return missing(TIMES, NO_REQUEST)
    latency = step.judged.latency
    return [
        *_spread("latency_seconds", latency, step),
        Reading("latency_seconds", "max", largest(latency, step.failures)),
        *_first_chunk(step),
        *_gaps(step),
        *_per_token(step),
    ]


def _spread(metric: str, values: FloatArray, step: MeasuredStep) -> list[Reading]:
    """Give percentiles and mean of one time per request."""
    found = percentiles(values, tuple(SHARES.values()), step.failures)
    readings = [Reading(metric, stat, each) for stat, each in zip(SHARES, found, strict=True)]
    return [*readings, Reading(metric, "mean", _finite_mean(values, step.failures))]


def _finite_mean(values: FloatArray, failures: str) -> Estimate:
    """Average what is finite; what failed has no upper bound, and so has the mean."""
    finite = values[np.isfinite(values)]
    if len(finite) == len(values):
        return mean(values)
    if not len(finite):
        return Estimate(
            n=len(values), low=math.inf, high=math.inf, quality=f"not estimable: {failures}"
        )
    return replace(mean(finite), high=math.inf).flagged(f"mean of good answers, {failures}")


def _first_chunk(step: MeasuredStep) -> list[Reading]:
    if np.isnan(step.judged.first[step.judged.success]).all() and step.judged.success.any():
        return missing(["ttft_seconds"], "no answer came in chunks")
    return _spread("ttft_seconds", step.streamed.ttft, step)


def _gaps(step: MeasuredStep) -> list[Reading]:
    inside = step.window.holds(step.log.planned) & step.log.judged & step.may_stream(step.log)
    gaps, owner = step.chunks.gaps(step.log.success & inside)
    if not len(gaps):
        return missing(["itl_seconds"], "no good answer had two chunks")
    failed = np.flatnonzero(~step.log.success & inside)
    if len(failed):
        answers = int(np.count_nonzero(owner[1:] != owner[:-1])) + 1
        each = max(1, round(len(gaps) / answers))
        gaps = np.concatenate([gaps, np.full(len(failed) * each, np.inf)])
        owner = np.concatenate([owner, np.repeat(failed, each)])
    clustered = Clustered(gaps, owner, step.seed)
    *found, average = clustered.estimates(tuple(SHARES.values()), step.failures)
    if len(failed):
        average = average.flagged(f"mean of good answers, {step.failures}")
    stats = (*SHARES, "mean")
    pairs = zip(stats, (*found, average), strict=True)
    return [Reading("itl_seconds", stat, estimate) for stat, estimate in pairs]


def _per_token(step: MeasuredStep) -> list[Reading]:
    log = step.streamed
    good = log.success & ~np.isnan(log.first) & (log.output_tokens >= 2)
    if not good.any():
        return missing(["tpot_seconds"], "no good answer had chunks and two output tokens or more")
    times = np.full(len(log), np.inf)
    times[good] = (log.last[good] - log.first[good]) / (log.output_tokens[good] - 1)
    return _spread("tpot_seconds", times[good | ~log.success], step)


def flagged(reading: Reading, step: MeasuredStep) -> Reading:
    """Mark a time of an over-saturated step, and one that the client can hardly resolve."""
    reasons = []
    if reading.metric in QUEUED and step.saturated:
        reasons.append(OVER_SATURATED)
    if reading.metric in (*QUEUED, "query_latency_seconds") and step.level.closed:
        reasons.append(f"{HIDES}: {step.level.value:g} in flight")
    if reading.metric in QUEUED and step.level.at_once:
        reasons.append(PILE)
    is_time = BY_NAME[reading.metric].section == "Latency" or reading.metric in QUEUED
    if is_time and reading.estimate.value < RESOLUTION_FACTOR * step.resolution_seconds:
        reasons.append(
            f"under ten times the client's resolution of {step.resolution_seconds:.2g} s"
        )
    return replace(reading, estimate=reading.estimate.flagged(*reasons))


def tokens(step: MeasuredStep) -> list[Reading]:
    """Give rates and numbers of tokens."""
    good = step.cohort.only(step.cohort.success)
    silent = "the server reported no token counts"
    counts = {"output_tokens": good.output_tokens, "input_tokens": good.input_tokens}
    known = {name: values[~np.isnan(values)] for name, values in counts.items()}
    return [
        Reading("output_tokens_per_second", "value", _token_rate(step)),
        *(
            Reading(name, "mean", mean(values) if len(values) else Estimate.missing(silent))
            for name, values in known.items()
        ),
        Reading("cached_token_ratio", "value", _cached(step, good, silent)),
    ]


def _cached(step: MeasuredStep, good: RequestLog, silent: str) -> Estimate:
    known = ~np.isnan(good.cached_tokens) & ~np.isnan(good.input_tokens)
    cached, received = good.cached_tokens[known], good.input_tokens[known]
    if not received.sum() > 0:
        return Estimate.missing(silent)
    return ratio_of_sums(cached, received, step.seed)


def _token_rate(step: MeasuredStep) -> Estimate:
    if "sent_bytes_per_second" in noted_metrics(step.data.requests):
        return Estimate.missing("what was moved are bytes, not tokens")
    arrived = tokens_per_block(step.log, step.chunks, step.window, TOKEN_BLOCKS)
    if arrived is None:
        return Estimate.missing("no answer had chunks or a token count")
    found = mean(arrived / (step.window.seconds / TOKEN_BLOCKS))
    return replace(found, method="t over ten blocks", n=round(float(arrived.sum())))


def _concurrency(step: MeasuredStep) -> list[Reading]:
    counted = {
        "requests_in_flight": occupancy(step.log.sent, step.left, step.window),
        "requests_in_system": step.in_system,
    }
    return [
        reading
        for name, found in counted.items()
        for reading in (
            Reading(name, "mean", _over_slices(found, step.window.seconds, len(step.log))),
            Reading(name, "max", _most(found, len(step.log))),
        )
    ]


def _over_slices(found: Occupancy, seconds: float, n: int) -> Estimate:
    """Give a mean over the window, with t on what a hundred slices of it are worth."""
    slices = found.block_means(CONCURRENCY_SLICES)
    return replace(over_samples(found.mean, slices, seconds / CONCURRENCY_SLICES), n=n)


def _most(found: Occupancy, n: int) -> Estimate:
    """Give the largest number at a time, which the log tells exactly."""
    most = found.maximum
    return Estimate(most, most, most, LARGEST_OF_ALL, n, float(n))
