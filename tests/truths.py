"""Services of known capacity, and campaigns on them in virtual time.

What is true is computed here without the project's analysis: by queueing theory for slots, by
arithmetic (capacity) and one long simulation (latency) for batching.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, signal, stats

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from escalade.load.rows import PlannedRows
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.truth_batch import BatchRules
from escalade.load.virtual import Batching, Slots, measure
from escalade.monitoring.collector import empty_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.load.virtual import Server

INPUT_TOKENS, OUTPUT_TOKENS = 64, (8, 56)
"""Of batched requests; the mean answer has 32 tokens."""
SLO_AT = 0.85
"""Share of the capacity at which the objective is exactly met."""


@dataclass(frozen=True)
class Truth:
    """A service with what is true of it.

    Parameters
    ----------
    name
        As queueing theory calls it.
    server
        What answers.
    capacity_qps
        Its capacity.
    slo
        An objective.
    slo_qps
        The rate at which it is exactly met.
    window_seconds, warmup_seconds
        Of each step of a ladder on it.
    """

    name: str
    server: Server
    capacity_qps: float
    slo: Slo
    slo_qps: float
    window_seconds: float
    warmup_seconds: float


def busy_chance(slots: int, erlangs: float) -> float:
    """Give the chance that an arrival finds all slots of an M/M/c queue busy: Erlang's C formula."""
    blocked = stats.poisson.pmf(slots, erlangs) / stats.poisson.cdf(slots, erlangs)
    share: float = erlangs / slots
    return float(blocked / (1 - share * (1 - blocked)))


def random_stay(slots: int, service_seconds: float, qps: float, share: float) -> float:
    """Give a quantile of the time in an M/M/c queue, wait and service, in seconds.

    P(stay > t) = (1 − C) e^(−μt) + C (δ e^(−μt) − μ e^(−δt)) / (δ − μ) with δ = cμ − λ.
    """
    rate = 1 / service_seconds
    spare = slots * rate - qps
    busy = busy_chance(slots, qps * service_seconds)

    def beyond(t: float) -> float:
        alone = math.exp(-rate * t)
        both = (spare * alone - rate * math.exp(-spare * t)) / (spare - rate)
        return (1 - busy) * alone + busy * both - (1 - share)

    return float(optimize.brentq(beyond, 0.0, 1000 * service_seconds))


def constant_stay(slots: int, service_seconds: float, qps: float, share: float) -> float:
    """Give a quantile of the time in an M/D/c queue, wait and service, in seconds.

    Crommelin (1932) in the form of Franx (2001): with q the chances of the number waiting, and
    (k − 1) D ≤ t < k D, P(wait ≤ t) = Σ over j < kc of Q(kc − 1 − j) e^(−λ(kD − t)) (λ(kD − t))^j / j!
    """
    waiting = np.cumsum(_waiting_chances(slots, qps * service_seconds))

    def short(t: float) -> float:
        periods = math.floor(t / service_seconds) + 1
        j = np.arange(periods * slots)
        chances = stats.poisson.pmf(j, qps * (periods * service_seconds - t))
        return float((waiting[periods * slots - 1 - j] * chances).sum()) - share

    if short(0.0) >= 0:
        return service_seconds
    return service_seconds + float(optimize.brentq(short, 0.0, 50 * service_seconds))


def _waiting_chances(slots: int, erlangs: float, size: int = 1000) -> np.ndarray:
    """Give the chances of the number waiting: after one service time all that were served have left."""
    arrivals = stats.poisson.pmf(np.arange(size), erlangs)
    present = np.zeros(size)
    present[0] = 1.0
    for _ in range(5_000):
        left = np.concatenate([[present[: slots + 1].sum()], present[slots + 1 :], np.zeros(slots)])
        after = signal.fftconvolve(left, arrivals)[:size].clip(min=0)
        after /= after.sum()
        if np.abs(after - present).max() < 1e-13:
            break
        present = after
    return np.concatenate([[present[: slots + 1].sum()], present[slots + 1 :], np.zeros(slots)])


def long_run(server: Server, qps: float, requests: int, seed: int = 1) -> tuple[np.ndarray, Any]:
    """Give the times of a long run in seconds: from arrival to end, and to the first token."""
    plan = StepPlan(
        1,
        qps,
        0.0,
        requests / qps,
        "poisson",
        INPUT_TOKENS,
        {"uniform": list(OUTPUT_TOKENS)},
    )
    frame = draw_schedule([plan], seed)
    columns = {
        name: frame[name].to_numpy()
        for name in ("offset_seconds", "payload_id", "input_tokens", "output_tokens", "index")
    }
    rows = PlannedRows(plan=plan, in_window=np.ones(len(frame), dtype=bool), **columns)
    served = server.serve(rows, np.random.default_rng(seed))
    first = None
    if served.tokens is not None:
        first = np.array([times[0] for times in served.tokens]) - rows.offset_seconds
    return served.ended - rows.offset_seconds, first


@cache
def truths(requests: int = 200_000) -> dict[str, Truth]:
    """Give the services whose capacity and latency are known; batching from so many requests."""
    constant, exponential = Slots(4, 0.05), Slots(4, 0.05, exponential=True)
    rules = BatchRules(16, step_seconds=0.01, sequence_seconds=0.0005, prefill_seconds=0.0001)
    batching = Batching(rules)
    batched = rules.capacity_qps(INPUT_TOKENS, sum(OUTPUT_TOKENS) / 2)
    _, first = long_run(batching, SLO_AT * batched, requests)
    limits = {
        "M/D/4": constant_stay(4, 0.05, SLO_AT * 80, 0.95),
        "M/M/4": random_stay(4, 0.05, SLO_AT * 80, 0.95),
        "batching": float(np.quantile(first, 0.95)),
    }
    slos = {
        name: Slo("fast", "ttft_seconds" if name == "batching" else "latency_seconds", "p95", limit)
        for name, limit in limits.items()
    }
    return {
        "M/D/4": Truth("M/D/4", constant, 80.0, slos["M/D/4"], SLO_AT * 80, 60.0, 5.0),
        "M/M/4": Truth("M/M/4", exponential, 80.0, slos["M/M/4"], SLO_AT * 80, 60.0, 5.0),
        "batching": Truth(
            "streaming with batching",
            batching,
            batched,
            slos["batching"],
            SLO_AT * batched,
            120.0,
            10.0,
        ),
        "collapse": Truth(
            "M/D/4 that collapses",
            Slots(4, 0.05, collapse_beyond=20, collapse_factor=3.0),
            80.0,
            slos["M/D/4"],
            SLO_AT * 80,
            60.0,
            5.0,
        ),
    }


def rates(truth: Truth, seed: int) -> list[float]:
    """Give a ladder of steps a tenth of the capacity apart, whose lowest is drawn.

    No step lies where the capacity or the objective would have it.
    """
    lowest = np.random.default_rng([seed, 7]).uniform(0.1, 0.2)
    return [truth.capacity_qps * (lowest + 0.1 * place) for place in range(12)]


def campaign(truth: Truth, seed: int, ladder: Sequence[float] | None = None) -> CellData:
    """Measure a cell in virtual time."""
    plans = [
        StepPlan(
            step,
            qps,
            truth.warmup_seconds,
            truth.window_seconds,
            "poisson",
            INPUT_TOKENS,
            {"uniform": list(OUTPUT_TOKENS)},
        )
        for step, qps in enumerate(ladder or rates(truth, seed), start=1)
    ]
    table, outcomes = measure(draw_schedule(plans, seed), truth.server, seed)
    name = f"virtual_rep-1_{seed:08x}"
    return CellData(
        cell={"schema": 1, "cell": name, "deployment": "virtual", "repetition": 1},
        windows={"schema": 1, "scrape_interval_seconds": 1.0, "steps": outcomes},
        requests=table.to_pandas(),
        series=empty_series(),
        environment={"metric_names": {}, "agreement": None, "gpus": [], "gpu_note": None},
    )


def judged(truth: Truth, seed: int) -> dict[str, Any]:
    """Measure a cell and give its row of `capacity` in verdicts.json."""
    data = campaign(truth, seed)
    verdicts = judge(cell_kpis(data, [truth.slo]), [data], [truth.slo])
    row: dict[str, Any] = verdicts["capacity"][0]
    return row


def overload_qps(truth: Truth) -> float:
    """Give the throughput of a service of slots once it has collapsed."""
    assert isinstance(truth.server, Slots)
    return truth.capacity_qps / truth.server.collapse_factor
