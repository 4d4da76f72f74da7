"""Hits, misses and expiries of a service's caches, and a warning when a mode hits too seldom."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

LOGGER = logging.getLogger(__name__)
ENOUGH = 100
"""Requests from which on a hit rate is judged."""
LABELS = ("mode", "cache_type")


@dataclass(frozen=True)
class Mode:
    """A way in which the service answers, with a cache policy of its own.

    Attributes
    ----------
    ttl_seconds
        How long an entry lives, in seconds.
    target
        Hit rate that is asked for, in (0, 1]; None where answers are to differ each time.

    Raises
    ------
    ValueError
        When one of them is out of its range.
    """

    ttl_seconds: float
    target: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ttl_seconds) and self.ttl_seconds > 0):
            raise ValueError(f"ttl_seconds is {self.ttl_seconds!r}: expected a time above 0 s")
        if self.target is not None and not 0 < self.target <= 1:
            raise ValueError(f"target is {self.target!r}: expected a share above 0, up to 1")


MODES: Mapping[str, Mode] = {
    "fast": Mode(300.0, 0.6),
    "balanced": Mode(600.0, 0.6),
    "creative": Mode(1800.0),
}
"""Five, ten and thirty minutes; 60 % is asked of the first two."""


@dataclass
class _Counts:
    """What one cache counted in one mode, and from where on its rate is judged."""

    hits: int = 0
    misses: int = 0
    expired: int = 0
    since: tuple[int, int, int] = (0, 0, 0)
    warned_after: int | None = None

    def read(self) -> tuple[int, int, int]:
        return self.hits, self.misses, self.expired

    def judge_anew(self) -> None:
        """Leave what was counted up to now out of the next judgement."""
        self.since, self.warned_after = self.read(), None

    def low(self, target: float) -> tuple[float, int, int] | None:
        """Give rate, requests and expiries where the rate is to be warned of now."""
        hits, misses, expired = (
            now - then for now, then in zip(self.read(), self.since, strict=True)
        )
        lookups = hits + misses
        if lookups < ENOUGH:
            return None
        rate = hits / lookups
        if self.warned_after is not None:
            if rate >= target and lookups >= self.warned_after + ENOUGH:
                self.warned_after = None
            return None
        if rate >= target:
            return None
        self.warned_after = lookups
        return rate, lookups, expired


class _Families:
    """The metrics of one scrape, as yet without samples."""

    def __init__(self) -> None:
        self.hits = CounterMetricFamily(
            "cache_hits", "Requests that a cache answered.", labels=LABELS
        )
        self.misses = CounterMetricFamily(
            "cache_misses", "Requests that no valid entry of a cache answered.", labels=LABELS
        )
        self.expired = CounterMetricFamily(
            "cache_ttl_expired", "Entries of a cache whose time was up.", labels=LABELS
        )
        self.rate = GaugeMetricFamily(
            "cache_hit_rate", "Hits of a cache / requests to it, since the start.", labels=LABELS
        )
        self.target = GaugeMetricFamily(
            "cache_hit_rate_target", "Hit rate that is asked of a mode.", labels=LABELS[:1]
        )
        self.ttl = GaugeMetricFamily(
            "cache_ttl_seconds", "How long an entry of a mode lives.", labels=LABELS[:1]
        )

    def all(self) -> tuple[Metric, ...]:
        """Give them in the order of the page."""
        return self.hits, self.misses, self.expired, self.rate, self.target, self.ttl


class CacheMetrics:
    """Counts what a service's caches do, by mode and type, for Prometheus.

    Safe to call from any thread. It counts for its own process: of a service with several worker
    processes, each has a page of its own to be scraped.

    Counters begin at 0; `cache_hit_rate` is computed at each scrape and absent before the first
    request. Once a cache had `ENOUGH` requests in a mode that has a target, a rate under it is
    warned of, through logging: once, and again only when the rate was back at the target after
    `ENOUGH` further requests, or the TTL was changed, which begins the judgement anew.

    Parameters
    ----------
    modes
        The modes of the service by name, with TTL and target.
    cache_types
        What is cached, as in "llm" or "embedding". With the modes they are all the series that
        there can be, so that no text of a request can become a label.
    registry
        Where `/metrics` finds them; that of prometheus-client when left out.

    Raises
    ------
    ValueError
        Without a mode or a type, or when the registry has such metrics already.
    """

    def __init__(
        self,
        modes: Mapping[str, Mode] = MODES,
        cache_types: Sequence[str] = ("llm",),
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        if not modes or not cache_types or isinstance(cache_types, str):
            raise ValueError(
                f"modes are {dict(modes)!r} and cache_types {cache_types!r}: expected one of each at "
                'least, as in CacheMetrics({"fast": Mode(300, target=0.6)}, ["llm"])'
            )
        self._lock = Lock()
        self._targets = {name: mode.target for name, mode in modes.items()}
        self._ttl_seconds = {name: float(mode.ttl_seconds) for name, mode in modes.items()}
        self._counts = {(mode, kind): _Counts() for mode in modes for kind in cache_types}
        registry.register(self)

    def hit(self, mode: str, cache_type: str) -> None:
        """Count a request that a cache answered.

        Raises
        ------
        ValueError
            For a mode or type that was not declared.
        """
        self._look_up(mode, cache_type, hit=True)

    def miss(self, mode: str, cache_type: str) -> None:
        """Count a request for which there was no entry, or one whose time was up."""
        self._look_up(mode, cache_type, hit=False)

    def expired(self, mode: str, cache_type: str) -> None:
        """Count an entry whose time was up; where a request found it, that is a miss besides."""
        counts = self._of(mode, cache_type)
        with self._lock:
            counts.expired += 1

    def hit_rate(self, mode: str, cache_type: str) -> float | None:
        """Give hits / requests since the start; None before the first request."""
        counts = self._of(mode, cache_type)
        with self._lock:
            return _rate(counts.hits, counts.misses)

    def ttl_seconds(self, mode: str) -> float:
        """Give how long an entry lives, in seconds."""
        return self._ttl_seconds[self._known(mode)]

    def set_ttl(self, mode: str, ttl_seconds: float) -> None:
        """Say that entries live longer or shorter from now on; the rate is then judged anew.

        Raises
        ------
        ValueError
            For a mode that was not declared, or a time that is not above 0 s.
        """
        changed = Mode(ttl_seconds, self._targets[self._known(mode)])
        with self._lock:
            self._ttl_seconds[mode] = float(changed.ttl_seconds)
            for (of, _), counts in self._counts.items():
                if of == mode:
                    counts.judge_anew()

    def describe(self) -> Iterator[Metric]:
        """Name the metrics, so that a registry refuses a second collector of them."""
        yield from _Families().all()

    def collect(self) -> Iterator[Metric]:
        """Give one scrape: all of it is of one moment."""
        with self._lock:
            read = {labels: counts.read() for labels, counts in self._counts.items()}
            ttl_seconds = dict(self._ttl_seconds)
        families = _Families()
        for labels, (hits, misses, expired) in read.items():
            families.hits.add_metric(labels, hits)
            families.misses.add_metric(labels, misses)
            families.expired.add_metric(labels, expired)
            rate = _rate(hits, misses)
            if rate is not None:
                families.rate.add_metric(labels, rate)
        for mode, target in self._targets.items():
            families.ttl.add_metric([mode], ttl_seconds[mode])
            if target is not None:
                families.target.add_metric([mode], target)
        yield from families.all()

    def _look_up(self, mode: str, cache_type: str, *, hit: bool) -> None:
        counts, target = self._of(mode, cache_type), self._targets[mode]
        with self._lock:
            if hit:
                counts.hits += 1
            else:
                counts.misses += 1
            low = None if target is None else counts.low(target)
            ttl_seconds = self._ttl_seconds[mode]
        if low is not None and target is not None:  # outside the lock: handlers may take their time
            rate, lookups, expired = low
            LOGGER.warning(
                "cache hit rate of mode %r, type %r, is %.1f %% after %d requests, under its target "
                "of %.3g %% (%d entries expired): double the TTL, from %.6g s to %.6g s",
                mode,
                cache_type,
                math.floor(1000 * rate) / 10,
                lookups,
                100 * target,
                expired,
                ttl_seconds,
                2 * ttl_seconds,
            )

    def _of(self, mode: str, cache_type: str) -> _Counts:
        counts = self._counts.get((mode, cache_type))
        if counts is None:
            self._known(mode)
            types = ", ".join(dict.fromkeys(kind for _, kind in self._counts))
            raise ValueError(
                f"there is no cache type {cache_type!r}. Types: {types}. Declare it: "
                "CacheMetrics(modes, cache_types=[…])"
            )
        return counts

    def _known(self, mode: str) -> str:
        if mode not in self._targets:
            raise ValueError(
                f"there is no mode {mode!r}. Modes: {', '.join(self._targets)}. Declare it: "
                "CacheMetrics({name: Mode(ttl_seconds=…)})"
            )
        return mode


def _rate(hits: int, misses: int) -> float | None:
    lookups = hits + misses
    return hits / lookups if lookups else None
