"""How often the intervals of kpis.csv hold the truth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from frame import COVERS, COVERS_DEPENDENT, Covered, Row, Run
from queues import Mmc
from scipy import stats

from escalade.analysis.stats.clusters import Clustered
from escalade.analysis.stats.intervals import (
    Estimate,
    mean,
    over_repetitions,
    percentiles,
    poisson,
    ratio,
    sample_floor,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from queues import Array

    from escalade.analysis.measured.windows import BoolArray

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
LOGNORMAL = stats.lognorm(1.0)
LONG = 30.0
"""Relaxation times of a window in which a queue can be known; see docs/statistics.md."""


def independent_percentiles(run: Run) -> list[Row]:
    """Percentiles of independent, skewed times, from their sample floor on."""
    rows = []
    for n in (40, 100, 400, 2000):
        case = f"lognormal (sigma 1), n = {n}"
        draws = run.rng(case).lognormal(0.0, 1.0, (run.runs, n))
        wanted = {name: share for name, share in SHARES.items() if sample_floor(share) <= n}
        rows += _percentile_rows(case, draws, wanted, LOGNORMAL.ppf, COVERS)
    return rows


def dependent_percentiles(run: Run) -> list[Row]:
    """Percentiles of the latencies of queues near saturation."""
    rows = []
    for queue, requests in _windows():
        times = queue.latencies(run.rng(f"{queue.name} {requests}"), run.runs, requests)
        long = requests >= LONG * queue.relaxation
        case = f"{queue.name}, {_length(queue, requests)}"
        wanted = COVERS_DEPENDENT if long else None
        rows += _percentile_rows(case, times, SHARES, queue.percentile, wanted)
    return rows


def _windows() -> Iterator[tuple[Mmc, int]]:
    for queue in (Mmc(1, 0.8), Mmc(1, 0.9), Mmc(1, 0.95), Mmc(4, 0.9)):
        for relaxations in (0.4, 1, 3, 10, 30, 100):
            requests = round(relaxations * queue.relaxation, -2)
            if 100 <= requests <= 60_000:
                yield queue, int(requests)


def _length(queue: Mmc, requests: int) -> str:
    return f"{requests} requests ({requests / queue.relaxation:.2g} relaxation times)"


def _percentile_rows(
    case: str,
    draws: Array,
    wanted: dict[str, float],
    truth: Callable[[float], float],
    least: float | None,
) -> list[Row]:
    found = {name: Covered(float(truth(share))) for name, share in wanted.items()}
    for values in draws:
        estimates = percentiles(values, tuple(wanted.values()))
        for covered, estimate in zip(found.values(), estimates, strict=True):
            covered.add(estimate)
    return [covered.row(f"{name}, {case}", least) for name, covered in found.items()]


def means(run: Run) -> list[Row]:
    """Means: t on independent times, batch means on dependent ones."""
    rows = []
    for n in (20, 100, 1000):
        case = f"normal, n = {n}"
        rows.append(_mean_row(case, run.rng(case).normal(5.0, 1.0, (run.runs, n)), 5.0, COVERS))
    for n in (100, 1000, 10_000):
        case = f"lognormal (sigma 1), n = {n}"
        draws = run.rng(case).lognormal(0.0, 1.0, (run.runs, n))
        least = COVERS if n >= 10_000 else None  # t wants the mean to be near normal: skewness 6
        rows.append(_mean_row(case, draws, math.exp(0.5), least))
    for queue, requests in _windows():
        times = queue.latencies(run.rng(f"mean {queue.name} {requests}"), run.runs, requests)
        long = requests >= LONG * queue.relaxation
        case = f"{queue.name}, {_length(queue, requests)}"
        rows.append(_mean_row(case, times, queue.mean, COVERS_DEPENDENT if long else None))
    return rows


def _mean_row(case: str, draws: Array, truth: float, least: float | None) -> Row:
    covered = Covered(truth)
    for values in draws:
        covered.add(mean(values))
    return covered.row(f"mean, {case}", least)


def ratios(run: Run) -> list[Row]:
    """Shares of requests: Wilson, on n_eff where failures come in bursts."""
    rows = []
    for share, n in ((0.01, 1000), (0.05, 200), (0.05, 1000), (0.3, 200)):
        case = f"{100 * share:g} % of {n} requests, independent"
        hits = run.rng(case).random((run.runs, n)) < share
        rows.append(_ratio_row(case, hits, share, 0.94))
    for share, burst, n in ((0.05, 10, 2000), (0.05, 10, 10_000), (0.3, 50, 10_000)):
        case = f"{100 * share:g} % of {n} requests, in bursts of {burst}"
        hits = _bursts(run.rng(case), run.runs, n, share, burst)
        rows.append(_ratio_row(case, hits, share, COVERS_DEPENDENT))
    return rows


def _bursts(rng: np.random.Generator, runs: int, n: int, share: float, burst: int) -> BoolArray:
    """Draw a two-state chain: bad for `burst` requests on average, `share` of the time."""
    ends, begins = 1 / burst, share / (1 - share) / burst
    bad = rng.random(runs) < share
    found = np.empty((runs, n), dtype=bool)
    for place in range(n):
        found[:, place] = bad
        draw = rng.random(runs)
        bad = np.where(bad, draw >= ends, draw < begins)
    return found


def _ratio_row(case: str, hits: BoolArray, truth: float, least: float) -> Row:
    covered = Covered(truth)
    for values in hits:
        covered.add(ratio(values))
    return covered.row(case, least)


def throughputs(run: Run) -> list[Row]:
    """Rates of answers: Garwood's interval of a Poisson count, and where the service sets the pace."""
    rows = []
    for count in (10, 100, 1000):
        covered = Covered(count)
        for answers in run.rng(f"throughput {count}").poisson(count, run.runs):
            low, high = poisson(int(answers))
            covered.add(Estimate(float(answers), low, high))
        rows.append(covered.row(f"Poisson arrivals, {count} answers expected", COVERS))
    for spread in (0.25, 0.5):
        covered, seconds, name = Covered(200.0), 200, f"service with cv {spread:g}"
        rng = run.rng(name)
        shape = 1 / spread**2
        for _ in range(run.runs):
            ended = np.cumsum(rng.gamma(shape, 1 / shape, 2 * seconds)) + rng.uniform(-1.0, 0.0)
            low, high = poisson(int(((ended >= 0) & (ended < seconds)).sum()))
            covered.add(Estimate(0.0, low, high))
        rows.append(covered.row(f"saturated {name}, 200 answers expected", COVERS))
    return rows


def gaps(run: Run) -> list[Row]:
    """Token gaps: alike within a request; requests are drawn."""
    rows = []
    sigma, within = 0.3, 0.5
    truth = stats.lognorm(math.hypot(sigma, within))
    for requests, tokens in ((40, 30), (200, 30), (1000, 20)):
        case = f"{requests} requests of {tokens} gaps"
        rng = run.rng(case)
        found = {name: Covered(float(truth.ppf(SHARES[name]))) for name in ("p50", "p90", "p99")}
        average = Covered(float(truth.mean()))
        runs = min(run.runs, 500)
        for number in range(runs):
            own = rng.normal(0.0, sigma, requests)[:, None]
            values = np.exp(own + rng.normal(0.0, within, (requests, tokens))).ravel()
            clustered = Clustered(values, np.repeat(np.arange(requests), tokens), (number,))
            *estimates, middle = clustered.estimates([SHARES[name] for name in found])
            for covered, estimate in zip(found.values(), estimates, strict=True):
                covered.add(estimate)
            average.add(middle)
        least = COVERS_DEPENDENT
        rows += [covered.row(f"{name}, {case}", least) for name, covered in found.items()]
        rows.append(average.row(f"mean, {case}", least))
    return rows


def repetitions(run: Run) -> list[Row]:
    """Try the deployment's value over runs: t on the logarithm."""
    rows = []
    for k in (3, 5, 7):
        for noise in (0.05, 0.3):
            case = f"{k} repetitions, lognormal noise of {100 * noise:g} %"
            draws = np.exp(run.rng(case).normal(0.0, noise, (run.runs, k)))
            rows.append(_repetition_row(case, draws, COVERS))
        case = f"{k} repetitions, one run in ten slower by half"
        rng = run.rng(case)
        odd = rng.random((run.runs, k)) < 0.1
        draws = np.exp(rng.normal(0.0, 0.05, (run.runs, k))) * np.where(odd, 1.5, 1.0)
        typical = 1.5**0.1  # the geometric mean over all runs, the odd ones included
        rows.append(_repetition_row(case, draws / typical, None))
    return rows


def _repetition_row(case: str, draws: Array, least: float | None) -> Row:
    covered = Covered(1.0)
    for values in draws:
        covered.add(over_repetitions(values.tolist()))
    return covered.row(case, least)
