"""How often the intervals of what Prometheus sampled hold the truth, and those of loads without a rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from frame import COVERS, COVERS_DEPENDENT, Covered, Row, Run

from escalade.analysis.kpis.loop_kpis import answered_per_second
from escalade.analysis.stats.clusters import ratio_of_sums
from escalade.analysis.stats.sampled import over_samples, ratio_over_samples

if TYPE_CHECKING:
    from queues import Array

    from escalade.analysis.stats.intervals import Estimate

LEVEL = 10.0
BURN_IN = 200


def gauges(run: Run) -> list[Row]:
    """Means of gauges: noise that leans on the sample before, and a queue scraped once a second."""
    rows = []
    for lean in (0.0, 0.5, 0.9):
        for n in (20, 60, 300, 600):
            case = f"gauge, correlation {lean:g} from scrape to scrape, {n} scrapes"
            draws = _leaning(run.rng(case), run.runs, n, lean)
            long = n >= 30 * (1 + lean) / (1 - lean)
            least = COVERS if lean == 0 else COVERS_DEPENDENT if long else None
            found = [over_samples(float(values.mean()), values) for values in draws]
            rows.append(_row(case, LEVEL, found, least))
    for use in (0.5, 0.8, 0.9):
        for n in (60, 300, 600):
            case = f"queue of an M/M/1 at {100 * use:g} %, 10 requests/s, {n} scrapes"
            draws = _queue(run.rng(case), run.runs, n, use)
            long = 10 * n >= 30 * use / (1 - math.sqrt(use)) ** 2
            found = [over_samples(float(values.mean()), values) for values in draws]
            rows.append(_row(case, use / (1 - use), found, COVERS_DEPENDENT if long else None))
    return rows


def counters(run: Run) -> list[Row]:
    """Rates of counters, shares of two counters, turnaround, and samples that were sent at once."""
    rows = []
    for rate in (0.5, 5.0, 50.0):
        for n in (20, 60, 300):
            case = f"counter, Poisson {rate:g} a scrape, {n} scrapes"
            draws = run.rng(case).poisson(rate, (run.runs, n)).astype(np.float64)
            found = [over_samples(float(values.mean()), values) for values in draws]
            least = COVERS if rate * n >= 100 else None
            rows.append(_row(case, rate, found, least))
    for n in (20, 60, 300):
        case = f"share of two counters, {n} scrapes"
        rng = run.rng(case)
        wholes, parts = rng.uniform(0.9, 1.1, (2, run.runs, n))
        parts = 0.3 * parts * wholes
        found = [
            ratio_over_samples(float(some.sum() / all_.sum()), some, all_)
            for some, all_ in zip(parts, wholes, strict=True)
        ]
        rows.append(_row(case, 0.3, found, COVERS))
    return [*rows, *_loops(run)]


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
    return covered.row(f"{case} (interval in {known:.0f} %, wrong {100 * wrong:.1f} %)", least)


def _leaning(rng: np.random.Generator, runs: int, n: int, lean: float) -> Array:
    noise = rng.normal(size=(n + BURN_IN, runs))
    for at in range(1, len(noise)):
        noise[at] += lean * noise[at - 1]
    return noise[BURN_IN:].T + LEVEL


def _queue(rng: np.random.Generator, runs: int, n: int, use: float) -> Array:
    """Follow queues by uniformization: ten services could end a second, arrivals are `use` of them."""
    states = rng.geometric(1 - use, runs) - 1
    found = np.empty((runs, n))
    for at in range(n):
        found[:, at] = states
        events = rng.poisson(10 * (1 + use), runs)
        for number in range(int(events.max())):
            up = rng.random(runs) < use / (1 + use)
            states = np.where(number < events, np.maximum(states + np.where(up, 1, -1), 0), states)
    return found


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
