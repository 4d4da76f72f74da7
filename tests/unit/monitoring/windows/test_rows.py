"""Rows say what their figure is of, how sure it is, and why there is none."""

from __future__ import annotations

import math

import pytest

from escalade.analysis.measured.windows import Window
from escalade.analysis.stats.sampled import NOT_ABOVE
from escalade.monitoring.answers import Samples
from escalade.monitoring.windows.growth import Growth
from escalade.monitoring.windows.queries import Query
from escalade.monitoring.windows.rows import (
    BUCKETS,
    COUNTED,
    Row,
    counter_rows,
    expression_rows,
    histogram_rows,
    share_rows,
)
from escalade.monitoring.windows.scrapes import Scrapes

BASE = 1_790_000_000.0
WINDOW = Window(BASE, BASE + 100)
TARGET = {"job": "triton", "instance": "a:1"}
RATE = Query(name="throughput", kind="counter", expr="requests_total", unit="1/s")
LATENCY = Query(name="latency", kind="histogram", expr="seconds_bucket", unit="s")
BUSY = Query(name="busy", kind="share", expr='cpu{mode!="idle"}', of="cpu", unit="ratio")


def samples(*tracks: tuple[dict[str, str], dict[float, float]]) -> Samples:
    found = Samples()
    result = [
        {"metric": labels, "values": [[BASE + at, repr(value)] for at, value in points.items()]}
        for labels, points in tracks
    ]
    found.add({"resultType": "matrix", "result": result})
    return found


def growth(*tracks: tuple[dict[str, str], dict[float, float]]) -> Growth:
    added = Growth(WINDOW, 1.0, "job")
    added.take(samples(*[({"__name__": "x"} | labels, points) for labels, points in tracks]))
    return added


def scrapes(every: range = range(100)) -> Scrapes:
    found = Scrapes(WINDOW, 15.0)
    found.take(samples(({"__name__": "up"} | TARGET, dict.fromkeys(map(float, every), 1.0))))
    return found


def whole(rows: list[Row]) -> dict[str, Row]:
    return {row.statistic: row for row in rows if row.slice is None}


def test_a_rate_is_growth_over_the_time_between_its_samples() -> None:
    # 3 and 5 more every other second: 4/s on average; the peak is 5/s
    points, value = {}, 0.0
    for at in range(100):
        points[float(at)] = value
        value += 3.0 if at % 2 else 5.0

    rows = whole(list(counter_rows(RATE, growth((TARGET, points)), scrapes())))

    assert rows["rate"].value == pytest.approx(397 / 99)  # 50 fives, 49 threes
    assert rows["rate"].coverage == 1.0
    assert (rows["peak_rate"].value, rows["peak_rate"].high) == (5.0, math.inf)
    assert (rows["growth"].unit, rows["growth"].method) == ("1", COUNTED)
    assert rows["growth"].value == rows["growth"].low == rows["growth"].high


def test_a_rate_of_many_scrapes_has_an_interval() -> None:
    generator, value, points = iter(range(10**6)), 0.0, {}
    for at in range(100):
        points[float(at)] = value
        value += (next(generator) * 7919) % 13  # no pattern that neighbours share

    row = whole(list(counter_rows(RATE, growth((TARGET, points)), scrapes())))["rate"]

    assert row.method == NOT_ABOVE  # worth fewer than thirty independent ones
    assert row.low is not None
    assert row.value is not None
    assert row.high is not None
    assert row.low < row.value < row.high
    assert row.quality == "ok"


def test_no_series_is_no_data_and_never_zero() -> None:
    for rows in (
        list(counter_rows(RATE, growth(), scrapes())),
        list(histogram_rows(LATENCY, growth(), scrapes())),
        list(share_rows(BUSY, growth(), growth(), scrapes())),
        list(expression_rows(Query(name="gpu", expr="x", unit="ratio"), samples(), 5, "job")),
    ):
        assert rows
        assert all(row.value is None for row in rows)
        assert all(row.quality.startswith("no data: ") for row in rows)


def test_a_counter_that_stands_still_has_a_rate_of_zero() -> None:
    row = whole(list(counter_rows(RATE, growth((TARGET, {0: 7.0, 99: 7.0})), scrapes())))["rate"]

    assert (row.value, row.quality) == (0.0, "ok")


def test_coverage_is_that_of_the_targets_scrapes() -> None:
    rows = counter_rows(RATE, growth((TARGET, {0: 0.0, 99: 9.0})), scrapes(range(75)))

    assert whole(list(rows))["rate"].coverage == 0.75


def test_restarts_and_late_series_are_flagged() -> None:
    added = growth((TARGET, {0: 50.0, 10: 60.0, 20: 5.0}), ({"job": "new"}, {40: 1.0, 41: 2.0}))

    row = whole(list(counter_rows(RATE, added, scrapes())))["growth"]

    assert row.value == 16.0  # 10, 5 after the restart, 1
    assert "1 restarts of counters" in row.quality
    assert "1 of 2 series began inside the window" in row.quality


def test_every_service_has_rows_of_its_own() -> None:
    added = growth((TARGET, {0: 0.0, 50: 10.0}), ({"job": "milvus"}, {0: 0.0, 50: 30.0}))

    rows = [row for row in counter_rows(RATE, added, scrapes()) if row.statistic == "growth"]

    assert [(row.slice, row.value) for row in rows] == [(None, 40), ("milvus", 30), ("triton", 10)]
    assert rows[1].coverage is None  # nobody scraped it as a target: not known, not 1


def test_quantiles_of_buckets_carry_their_bracket_and_say_so() -> None:
    # 100 observations: 60 up to 0.1 s, 30 up to 0.5 s, 10 above
    buckets = {"0.1": 60.0, "0.5": 90.0, "+Inf": 100.0}
    added = growth(*((TARGET | {"le": le}, {0: 7.0, 99: 7.0 + n}) for le, n in buckets.items()))

    rows = whole(list(histogram_rows(LATENCY, added, scrapes())))

    assert (rows["p50"].low, rows["p50"].high, rows["p50"].method) == (0.0, 0.1, BUCKETS)
    assert rows["p50"].value == pytest.approx(50 / 60 * 0.1)
    assert rows["p50"].n == 100
    assert (rows["p95"].value, rows["p95"].low, rows["p95"].high) == (None, 0.5, math.inf)
    assert rows["p95"].quality == "not estimable: it lies above the highest bound, 0.5"


def test_buckets_in_milliseconds_are_scaled_with_their_bracket() -> None:
    query = LATENCY.model_copy(update={"scale": 0.001, "quantiles": (0.5,)})
    buckets = {"100": 10.0, "500": 10.0, "+Inf": 10.0}
    added = growth(*((TARGET | {"le": le}, {0: 0.0, 99: n}) for le, n in buckets.items()))

    row = whole(list(histogram_rows(query, added, scrapes())))["p50"]

    assert (row.value, row.low, row.high) == (pytest.approx(0.05), 0.0, pytest.approx(0.1))


def test_histograms_with_other_bounds_are_added_where_they_agree() -> None:
    first = {"0.1": 5.0, "0.5": 8.0, "1.0": 10.0, "+Inf": 10.0}
    other = {"0.25": 5.0, "1": 10.0, "+Inf": 10.0}
    added = growth(
        *(({"job": "a", "le": le}, {0: 0.0, 99: n}) for le, n in first.items()),
        *(({"job": "b", "le": le}, {0: 0.0, 99: n}) for le, n in other.items()),
    )

    row = whole(list(histogram_rows(LATENCY, added, scrapes())))["p50"]

    assert (row.low, row.high, row.n) == (0.0, 1.0, 20)
    assert row.quality == "flagged: 3 bounds that not all histograms have are left out"


def test_a_selector_without_buckets_is_no_histogram() -> None:
    row = next(histogram_rows(LATENCY, growth((TARGET, {0: 0.0, 99: 5.0})), scrapes()))

    assert (
        row.quality
        == 'no data: seconds_bucket has no bucket le="+Inf": expected a selector of `…_bucket`'
    )


def test_a_share_is_of_totals() -> None:
    # busy 25 of 100 CPU seconds
    busy = growth((TARGET, {0: 0.0, 99: 25.0}))
    cpu = growth((TARGET, {0: 0.0, 99: 25.0}), (TARGET | {"mode": "idle"}, {0: 0.0, 99: 75.0}))

    row = whole(list(share_rows(BUSY, busy, cpu, scrapes())))["mean"]

    assert row.value == 0.25
    assert row.coverage == 1.0


def test_an_expression_has_mean_and_extremes_of_each_of_its_series() -> None:
    query = Query(name="gpu", expr="avg by (job) (x)", unit="ratio")
    found = samples(({"job": "a"}, {0: 0.2, 1: 0.4}), ({"zone": "z"}, {0: -1.0, 1: 1.0}))

    rows = list(expression_rows(query, found, 4, "job"))

    assert [(row.slice, row.statistic, row.value) for row in rows[:3]] == [
        (None, "mean", pytest.approx(0.3)),
        (None, "min", 0.2),
        (None, "max", 0.4),
    ]
    assert {row.slice for row in rows[3:6]} == {"a"}
    assert rows[0].coverage == 0.5
    assert rows[-3].method == "not estimable: of values that may be negative"


def test_scrapes_that_failed_are_not_received() -> None:
    found = Scrapes(WINDOW, 15.0)
    points = {float(at): float(at < 60 or at >= 80) for at in range(100)}
    found.take(samples(({"__name__": "up"} | TARGET, points)))

    (target,) = found.targets()

    assert (target.expected, target.received, target.largest_gap) == (100, 80, 21.0)
    assert found.interval == 1.0
    assert found.coverage([{"job": "other"}]) is None
