"""The figures of a window: one row for each metric and statistic, with what makes it readable."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.stats.intervals import EXACT, NOT_ESTIMABLE, Estimate
from escalade.analysis.stats.sampled import largest, over_samples, ratio_over_samples
from escalade.monitoring.windows.quantiles import bucket_quantile
from escalade.monitoring.windows.queries import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from escalade.monitoring.answers import Samples
    from escalade.monitoring.windows.growth import Counter, Growth, Tally
    from escalade.monitoring.windows.queries import Query
    from escalade.monitoring.windows.scrapes import Scrapes

BUCKETS = "bounds of its bucket"
"""Method of a quantile from a histogram: `low` and `high` are no confidence interval."""
NO_DATA = "no data"
"""How the quality of a row without a value begins; the reason follows."""
COUNTED = f"{EXACT}: counted"
"""Method of what a counter grew by."""

LOOKED_AT = "of the moments that were looked at"
"""Method of the smallest and the largest value of an expression."""

_LE = "le"


@dataclass(frozen=True, slots=True)
class Row:
    """One statistic of one metric.

    Parameters
    ----------
    metric, statistic
        Name of the query, and "mean", "max", "p95", …
    labels
        Of its series, as canonical JSON; "{}" of an aggregate.
    slice
        Value of the label that tells services apart; None in the rows of the whole.
    value
        In `unit`; None where there is none, and `quality` says why.
    unit
        As the query says.
    low, high
        What `method` gives: a 95 % interval, or the bounds of a bucket; `high` is infinite where
        nothing bounds it.
    method
        Where `low` and `high` come from, or why there are none.
    n
        Samples, scrape intervals or observations that the value is of.
    coverage
        Part of the scrapes that should have been in the window and were: of the target that has
        the least, or of the moments at which an expression was evaluated; None where nobody knows.
    quality
        "ok", "flagged: …", "not estimable: …" or "no data: …".
    """

    metric: str
    statistic: str
    labels: str
    slice: str | None
    value: float | None
    unit: str
    low: float | None
    high: float | None
    method: str
    n: int
    coverage: float | None
    quality: str

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON content, which has no infinity: there is no bound then."""
        content = asdict(self)
        for bound in ("low", "high"):
            if content[bound] in {math.inf, -math.inf}:
                content[bound] = None
        return {**content, "labels": json.loads(self.labels)}


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the rows of one query, of the whole or of a slice.

    Parameters
    ----------
    query
        What is asked.
    coverage
        Of its targets.
    slice
        As in the rows.
    """

    query: Query
    coverage: float | None
    slice: str | None = None

    def row(self, statistic: str, estimate: Estimate, labels: str = "{}") -> Row:
        """Put an estimate into a row, scaled to the query's unit."""
        scale = self.query.scale
        return Row(
            metric=self.query.name,
            statistic=statistic,
            labels=labels,
            slice=self.slice,
            value=_number(estimate.value * scale),
            unit=self.query.unit,
            low=_number(estimate.low * scale),
            high=_number(estimate.high * scale),
            method=estimate.method,
            n=estimate.n,
            coverage=self.coverage,
            quality=estimate.quality,
        )

    def none(self, statistic: str, why: str) -> Row:
        """Say why there is no value."""
        return self.row(statistic, Estimate(quality=f"{NO_DATA}: {why}"))


def expression_rows(query: Query, found: Samples, moments: int, slice_by: str) -> Iterator[Row]:
    """Give mean, smallest and largest value of each series of an expression.

    Parameters
    ----------
    query
        Of the kind expression.
    found
        Its values at the moments of the grid.
    moments
        How many moments there are.
    slice_by
        Series that have this label are rows of its slice too.
    """
    nothing = True
    for track in found.tracks():
        values = track.values[np.isfinite(track.values)]
        if not len(values):
            continue
        nothing = False
        labels = json.loads(track.labels) | ({"__name__": track.metric} if track.metric else {})
        name = labels.get(slice_by)
        for each in (None, name) if name is not None else (None,):
            maker = Maker(query, len(values) / moments, each)
            spelled = json.dumps(labels, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            yield maker.row("mean", _mean(values), spelled)
            yield maker.row("min", _extreme(values, np.min), spelled)
            yield maker.row("max", _extreme(values, np.max), spelled)
    if nothing:
        why = "the expression has no value in the window: nothing exports what it reads, or was up"
        yield Maker(query, None).none("mean", why)


def counter_rows(query: Query, growth: Growth, scrapes: Scrapes) -> Iterator[Row]:
    """Give the rate of counters, its peak, and by how much they grew: of all and of each slice."""
    for name in _wholes_and(growth.slices()):
        tally = growth.tally(name)
        maker = Maker(query, _coverage(tally, scrapes), name)
        if not tally.counters:
            yield maker.none("rate", _fewer_than_two(query.expr))
            continue
        rate = tally.grown / tally.seconds
        paces = tally.paces[np.isfinite(tally.paces)]
        yield maker.row("rate", over_samples(rate, paces).flagged(*_flags(tally)))
        if len(paces):
            peak = largest(float(paces.max()), len(paces))
            yield maker.row("peak_rate", peak.flagged(*_flags(tally)))
        total = Estimate(tally.grown, tally.grown, tally.grown, COUNTED, len(tally.counters))
        row = maker.row("growth", total.flagged(*_flags(tally)))
        yield replace(row, unit=_unit_of_growth(query.unit))


def share_rows(query: Query, part: Growth, whole: Growth, scrapes: Scrapes) -> Iterator[Row]:
    """Give what part of the growth of some counters that of others is: of all and of each slice."""
    for name in _wholes_and(whole.slices()):
        parts, wholes = part.tally(name), whole.tally(name)
        maker = Maker(query, _coverage(wholes, scrapes), name)
        if not wholes.counters:
            yield maker.none("mean", _fewer_than_two(query.of or query.expr))
        elif not parts.counters:
            yield maker.none("mean", _fewer_than_two(query.expr))
        elif not wholes.grown > 0:
            yield maker.none("mean", f"{query.of} did not grow in the window")
        else:
            ratio = parts.grown / wholes.grown
            both = np.isfinite(parts.paces + wholes.paces)
            estimate = ratio_over_samples(ratio, parts.paces[both], wholes.paces[both], highest=1.0)
            yield maker.row("mean", estimate.flagged(*_flags(wholes)))


def histogram_rows(query: Query, growth: Growth, scrapes: Scrapes) -> Iterator[Row]:
    """Give quantiles of what histograms counted in the window, each with its bracket."""
    for name in _wholes_and(growth.slices()):
        tally = growth.tally(name)
        maker = Maker(query, _coverage(tally, scrapes), name)
        buckets, flags = shared_buckets(tally.counters)
        observed = round(buckets.get(math.inf, 0.0))
        for share in query.quantiles or QUANTILES:
            statistic = f"p{share * 100:g}"
            if not tally.counters:
                yield maker.none(statistic, _fewer_than_two(query.expr))
                continue
            if math.inf not in buckets:
                why = f'{query.expr} has no bucket le="+Inf": expected a selector of `…_bucket`'
                yield maker.none(statistic, why)
                continue
            found = bucket_quantile(buckets, share)
            if found is None:
                yield maker.none(statistic, "nothing was observed in the window")
                continue
            estimate = Estimate(found.value, found.low, found.high, BUCKETS, observed)
            if math.isnan(found.value):
                above = f"{NOT_ESTIMABLE}: it lies above the highest bound, {found.low:g}"
                estimate = replace(estimate, quality=above)
            yield maker.row(statistic, estimate.flagged(*flags, *_flags(tally)))


def shared_buckets(counters: Sequence[Counter]) -> tuple[dict[float, float], list[str]]:
    """Add up the buckets of several histograms.

    Returns
    -------
    dict of float to float, list of str
        Growth by bound, of the bounds that all of them have: below any other one it is not known
        how much the rest has. And what is to be said of that.
    """
    histograms: dict[tuple[str, str], dict[float, float]] = {}
    for counter in counters:
        bound = _bound(counter.labels.get(_LE, ""))
        if bound is not None:
            rest = {name: value for name, value in counter.labels.items() if name != _LE}
            key = (counter.metric, json.dumps(rest, sort_keys=True))
            own = histograms.setdefault(key, {})
            own[bound] = own.get(bound, 0.0) + counter.grown
    if not histograms:
        return {}, []
    every = set().union(*histograms.values())
    common = set.intersection(*(set(own) for own in histograms.values()))
    summed = {
        bound: math.fsum(own[bound] for own in histograms.values()) for bound in sorted(common)
    }
    missing = len(every - common)
    return summed, [f"{missing} bounds that not all histograms have are left out"] * bool(missing)


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _wholes_and(slices: Sequence[str]) -> list[str | None]:
    return [None, *(name for name in slices if name)]


def _coverage(tally: Tally, scrapes: Scrapes) -> float | None:
    return scrapes.coverage(counter.labels for counter in tally.counters)


def _flags(tally: Tally) -> list[str]:
    flags = []
    if tally.resets:
        flags.append(
            f"{tally.resets} restarts of counters: what came between the last scrape and a restart "
            "is not in it"
        )
    if tally.late:
        flags.append(
            f"{tally.late} of {len(tally.counters)} series began inside the window: what they had "
            "counted by their first scrape is not in it"
        )
    return flags


def _fewer_than_two(selector: str) -> str:
    return f"no series of {selector} has two samples in the window"


def _mean(values: NDArray[np.float64]) -> Estimate:
    mean = float(values.mean())
    if values.min() < 0:
        why = f"{NOT_ESTIMABLE}: of values that may be negative"
        return Estimate(mean, method=why, n=len(values))
    return over_samples(mean, values)


def _extreme(
    values: NDArray[np.float64], of: Callable[[NDArray[np.float64]], np.float64]
) -> Estimate:
    return Estimate(float(of(values)), method=LOOKED_AT, n=len(values))


def _unit_of_growth(rate: str) -> str:
    """Give the unit of what a rate counts: "1" of 1/s, "bytes" of bytes/s, "W·s" of W."""
    return rate.removesuffix("/s") if rate.endswith("/s") else f"{rate}·s"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
