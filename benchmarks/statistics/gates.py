"""How often gates on the state of a step raise a false alarm, and find what they are for."""

from __future__ import annotations

import math

import numpy as np
from frame import Row, Run
from queues import Mmc

from escalade.analysis.measured.windows import RequestLog, Window, occupancy
from escalade.analysis.stats.steadiness import drift, saturation
from escalade.analysis.stats.truncation import truncation

UTILISATIONS = (0.5, 0.7, 0.8, 0.9)
REQUESTS = 600


def log_of(planned: np.ndarray, latency: np.ndarray) -> RequestLog:
    """Make the log of requests that were all answered."""
    n = len(planned)
    none, no = np.full(n, math.nan), np.zeros(n, dtype=bool)
    ended = planned + latency
    return RequestLog(
        *(planned, planned, none, none, ended, ~no, no, no),
        *(np.zeros(n, dtype=np.int64), none, none, none, np.arange(n)),
    )


def false_alarms(run: Run) -> list[Row]:
    """Gates on a stationary queue (M/M/1): each failure is a false alarm."""
    rows = []
    for utilisation in UTILISATIONS:
        rng = run.rng(f"stationary {utilisation}")
        raised = _raised(rng, run.runs, utilisation)
        for gate, count in raised.items():
            case = f"`{gate}`, stationary M/M/1 at {100 * utilisation:g} %, {REQUESTS} requests"
            wanted = 0.1 if utilisation <= 0.7 else None
            rows.append(Row(case, count / run.runs, wanted, run.runs, at_most=True))
    return rows


def _raised(rng: np.random.Generator, runs: int, utilisation: float) -> dict[str, int]:
    """Count the alarms; the times between arrivals and in the system belong together."""
    found = {"warm_up": 0, "steadiness": 0, "over_saturation": 0}
    for gaps, times in zip(*_stationary(rng, runs, utilisation), strict=True):
        planned = np.cumsum(gaps)
        log = log_of(planned, times)
        window = Window(planned[REQUESTS // 6], planned[-1])
        inside = log.only(window.holds(log.planned))
        found["warm_up"] += truncation(inside.latency).too_short
        moved = drift(log, window)
        found["steadiness"] += moved.rises or moved.falls
        found["over_saturation"] += saturation(
            log, window, occupancy(log.planned, log.ended, window)
        ).over
    return found


def _stationary(
    rng: np.random.Generator, runs: int, utilisation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw gaps and times in the system; a sixth more requests than the window has come before it."""
    requests = REQUESTS * 7 // 6
    waiting = rng.random(runs) < utilisation
    wait = np.where(waiting, rng.exponential(1 / (1 - utilisation), runs), 0.0)
    gaps = rng.exponential(1 / utilisation, (runs, requests))
    times = np.empty((runs, requests))
    for place in range(requests):
        if place:
            wait = np.maximum(0.0, times[:, place - 1] - gaps[:, place])
        times[:, place] = wait + rng.exponential(1.0, runs)
    return gaps, times


def cold_starts(run: Run) -> list[Row]:
    """Say how often `warm_up` finds a first tenth that is slower by twice the mean."""
    rows = []
    for utilisation in UTILISATIONS:
        queue = Mmc(1, utilisation)
        for requests in (200, 1000):
            case = (
                f"`warm_up`, {queue.name}, the first tenth of {requests} slower by twice the mean"
            )
            times = queue.latencies(run.rng(case), run.runs, requests)
            times[:, : requests // 10] += 2 * queue.mean
            share = sum(truncation(values).too_short for values in times) / run.runs
            rows.append(Row(case, share, None, run.runs))
    return rows
