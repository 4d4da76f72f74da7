"""How often the intervals of what Prometheus sampled hold the truth, and those of loads without a rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from frame import COVERS, COVERS_DEPENDENT, Covered, Row, Run
from scipy.signal import lfilter

from escalade.analysis.kpis.loop_kpis import answered_per_second
from escalade.analysis.stats.clusters import ratio_of_sums
from escalade.analysis.stats.sampled import over_samples, ratio_over_samples

if TYPE_CHECKING:
    from queues import Array

    from escalade.analysis.stats.intervals import Estimate

LEVEL = 10.0
FEW = 5.0
"""Per cent of windows with an interval below which nothing is demanded of these few."""
WINDOWS = (30, 60, 300, 600, 3600)
USES = (0.5, 0.8, 0.9, 0.95)


def gauges(run: Run) -> list[Row]:
    """Means of gauges, scraped once a second: noise that leans on the sample before, and queues."""
    rows = []
    for lean in (0.0, 0.5, 0.9, 0.99):
        for n in WINDOWS:
            case = f"gauge, correlation {lean:g} from scrape to scrape, {n} scrapes"
            draws = _leaning(run.rng(case), _runs(run, n), n, lean)
            found = [over_samples(float(values.mean()), values, 1.0) for values in draws]
            rows.append(_row(case, LEVEL, found, COVERS_DEPENDENT if lean else COVERS))
    for use in USES:
        for rate in (10, 50):
            for n in WINDOWS:
                case = f"queue of an M/M/1 at {100 * use:g} %, {rate} services/s, {n} scrapes"
                rng = run.rng(case)
                draws = [_queue(rng, n, use, rate)[0] for _ in range(_runs(run, n))]
                found = [over_samples(float(values.mean()), values, 1.0) for values in draws]
                rows.append(_row(case, use / (1 - use), found, COVERS_DEPENDENT))
    return rows


def _runs(run: Run, n: int) -> int:
    """Give fewer runs of long windows: an hour of them costs a hundred minutes'."""
    return run.runs if n < 1000 else max(50, run.runs // 5)


def counters(run: Run) -> list[Row]:
    """Rates of counters, shares of two counters, turnaround, and samples that were sent at once."""
    rows = []
    for rate in (0.5, 5.0, 50.0):
        for n in (20, 60, 300):
            case = f"counter, Poisson {rate:g} a scrape, {n} scrapes"
            draws = run.rng(case).poisson(rate, (run.runs, n)).astype(np.float64)
            found = [over_samples(float(values.mean()), values, 1.0) for values in draws]
            least = COVERS if rate * n >= 100 else None
            rows.append(_row(case, rate, found, least))
    for n in (20, 60, 300):
        case = f"share of two counters, {n} scrapes"
        rng = run.rng(case)
        wholes, parts = rng.uniform(0.9, 1.1, (2, run.runs, n))
        parts = 0.3 * parts * wholes
        found = [
            ratio_over_samples(float(some.sum() / all_.sum()), some, all_, 1.0, 1.0)
            for some, all_ in zip(parts, wholes, strict=True)
        ]
        rows.append(_row(case, 0.3, found, COVERS))
    return [*rows, *_busy(run), *_energy(run), *_loops(run)]


def _busy(run: Run) -> list[Row]:
    """Try the CPU time of a service with one worker near saturation, a share of a core."""
    rows = []
    for use in USES:
        for n in WINDOWS:
            case = f"CPU of an M/M/1 at {100 * use:g} %, 10 services/s, {n} scrapes"
            rng = run.rng(case)
            draws = [_queue(rng, n, use, 10)[1] for _ in range(_runs(run, n) // 2)]
            found = [over_samples(float(values.mean()), values, 1.0, 1.0) for values in draws]
            rows.append(_row(case, use, found, COVERS_DEPENDENT))
    return rows


def _energy(run: Run) -> list[Row]:
    """Try joules per answer: 50 W at rest and 5 J for each answer, in the scrape in which it ends."""
    rows = []
    for rate in (0.5, 5.0, 50.0):
        for n in (30, 60, 300):
            case = f"energy per answer, {rate:g} answers a scrape, {n} scrapes"
            rng = run.rng(case)
            answers = rng.poisson(rate, (run.runs, n)).astype(np.float64)
            joules = 50 + 5 * answers + rng.normal(0.0, 2.0, (run.runs, n))
            found = [
                ratio_over_samples(float(some.sum() / all_.sum()), some, all_, 1.0)
                for some, all_ in zip(joules, answers, strict=True)
                if all_.sum()
            ]
            rows.append(_row(case, 50 / rate + 5, found, COVERS_DEPENDENT))
    return rows


def _loops(run: Run) -> list[Row]:
    rows = []
    for n in (40, 400):
        case = f"turnaround, {n} requests"
        rng = run.rng(case)
        runs = min(run.runs, 400)
        waits, times = rng.exponential(0.01, (runs, n)), rng.gamma(4.0, 0.05, (runs, n))
        found = [
            ratio_of_sums(some, some + more, (number,))
            for number, (some, more) in enumerate(zip(waits, times, strict=True))
        ]
        rows.append(_row(case, 0.01 / 0.21, found, COVERS if n > 100 else None))
    for spread, servers in ((0.25, 1), (1.0, 1), (0.5, 8)):
        for n in (40, 400):
            case = f"{n} samples at once, {servers} slots, service with cv {spread:g}"
            ends = _at_once(run.rng(case), min(run.runs, 1000), n, spread, servers)
            truth = n / float(ends.max(axis=1).mean())
            found = [answered_per_second(values, np.zeros(n)) for values in ends]
            rows.append(_row(case, truth, found, COVERS if n > 100 else None))
    return rows


def _row(case: str, truth: float, found: list[Estimate], least: float | None) -> Row:
    """Count those that have an interval, and say how many have."""
    covered = Covered(truth)
    for each in found:
        if not math.isnan(each.low):
            covered.add(each)
    if not covered.runs:
        return Row(f"{case}: no interval", 1.0, None, len(found))
    wrong = (covered.runs - covered.hits) / len(found)
    known = 100 * covered.runs / len(found)
    least = least if known >= FEW else None
    return covered.row(f"{case} (interval in {known:.0f} %, wrong {100 * wrong:.1f} %)", least)


def _leaning(rng: np.random.Generator, runs: int, n: int, lean: float) -> Array:
    """Draw a stationary autoregression of first order around `LEVEL`, with a spread of 1."""
    noise = rng.normal(size=(runs, n)) * math.sqrt(1 - lean**2)
    noise[:, 0] /= math.sqrt(1 - lean**2)
    return np.asarray(lfilter([1.0], [1.0, -lean], noise, axis=1)) + LEVEL


def _queue(rng: np.random.Generator, n: int, use: float, rate: float) -> tuple[Array, Array]:
    """Follow an M/M/1 for `n` seconds: requests in it at each scrape, busy time between the scrapes.

    Arrivals and services that could end are one Poisson process of steps up and down; the queue is
    that walk, reflected at 0.
    """
    events = rng.poisson(rate * (1 + use) * n)
    times = np.append(np.sort(rng.uniform(0.0, n, events)), n)
    steps = np.where(rng.random(events) < use / (1 + use), 1, -1)
    walk = (rng.geometric(1 - use) - 1) + np.concatenate([[0], np.cumsum(steps)])
    states = walk - np.minimum(0, np.minimum.accumulate(walk))
    lasted = np.diff(times, prepend=0.0)
    busy = np.concatenate([[0.0], np.cumsum((states > 0) * lasted)])
    seconds = np.arange(n + 1.0)
    worked = np.diff(np.interp(seconds, np.concatenate([[0.0], times]), busy))
    scraped = states[np.searchsorted(times, seconds[:-1] + 0.5, side="right")]
    return scraped.astype(np.float64), worked


def _at_once(rng: np.random.Generator, runs: int, n: int, spread: float, servers: int) -> Array:
    shape = 1 / spread**2
    times = rng.gamma(shape, 1 / shape, (runs, n))
    free, ends = np.zeros((runs, servers)), np.empty((runs, n))
    every = np.arange(runs)
    for number in range(n):
        slot = free.argmin(axis=1)
        free[every, slot] += times[:, number]
        ends[:, number] = free[every, slot]
    return ends
