"""Queues whose percentiles are known: latencies of many runs at once, stationary from the first request on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mmc:
    """M/M/c, first come, first served: Poisson arrivals, `servers` of rate 1, exponential service."""

    servers: int
    utilisation: float

    @property
    def name(self) -> str:
        """Its name: "M/M/4 at 90 %"."""
        return f"M/M/{self.servers} at {100 * self.utilisation:g} %"

    @property
    def rate(self) -> float:
        """Arrivals per mean service time."""
        return self.servers * self.utilisation

    @property
    def waits(self) -> float:
        """Probability of having to wait (Erlang C)."""
        load, c = self.rate, self.servers
        top = load**c / math.factorial(c) / (1 - self.utilisation)
        return top / (sum(load**k / math.factorial(k) for k in range(c)) + top)

    @property
    def relaxation(self) -> float:
        """Requests after which the queue has forgotten itself (Morse): rate / (√c − √rate)² · 1 / c, about."""
        return self.rate / (math.sqrt(self.servers) - math.sqrt(self.rate)) ** 2

    @property
    def mean(self) -> float:
        """Mean time in the system."""
        return 1 + self.waits / (self.servers - self.rate)

    def beyond(self, time: float) -> float:
        """Probability of staying longer than `time`."""
        drain = (
            self.servers - self.rate
        )  # the wait, where there is one, is exponential with this rate
        alone = math.exp(-time)
        if math.isclose(drain, 1.0):
            return alone + self.waits * time * alone
        together = (math.exp(-time * drain) - drain * alone) / (1 - drain)
        return (1 - self.waits) * alone + self.waits * together

    def percentile(self, share: float) -> float:
        """Time within which a share of the requests is answered."""
        return float(brentq(lambda time: self.beyond(time) - (1 - share), 0.0, 1e4))

    def latencies(self, rng: np.random.Generator, runs: int, requests: int) -> Array:
        """Draw the times in the system of `requests` in a row, shape (runs, requests)."""
        return (
            self._one_server(rng, runs, requests)
            if self.servers == 1
            else self._several(rng, runs, requests)
        )

    def _one_server(self, rng: np.random.Generator, runs: int, requests: int) -> Array:
        """Lindley's recursion, from the stationary wait: 0, or exponential with the drain's rate."""
        waiting = rng.random(runs) < self.utilisation
        wait = np.where(waiting, rng.exponential(1 / (1 - self.utilisation), runs), 0.0)
        found = np.empty((runs, requests))
        for place in range(requests):
            service = rng.exponential(1.0, runs)
            found[:, place] = wait + service
            wait = np.maximum(0.0, found[:, place] - rng.exponential(1 / self.rate, runs))
        return found

    def _several(self, rng: np.random.Generator, runs: int, requests: int) -> Array:
        """Kiefer and Wolfowitz's recursion; twenty relaxation times are thrown away."""
        skipped = math.ceil(20 * self.relaxation)
        work = np.zeros((runs, self.servers))
        found = np.empty((runs, requests))
        for place in range(-skipped, requests):
            service = rng.exponential(1.0, runs)
            if place >= 0:
                found[:, place] = work[:, 0] + service
            work[:, 0] += service
            work = np.maximum(0.0, work - rng.exponential(1 / self.rate, runs)[:, None])
            work.sort(axis=1)
        return found
