"""KPIs of the request log, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from unit.analysis.builders import (
    GOOD_CLIENT,
    Queue,
    Request,
    Step,
    cell,
    ladder,
    queue_step,
    value_of,
)

FAST = Slo("fast", "latency_seconds", "p90", 0.5)
EVERY_SECOND = [Request(float(at), latency=0.1 * (at + 1), sent=at + 0.001) for at in range(10)]


def kpis_of(*requests: Request, slos: tuple[Slo, ...] = (), **step: object) -> pd.DataFrame:
    return cell_kpis(cell(Step(requests, client=GOOD_CLIENT, **step)), slos)  # type: ignore[arg-type]


def test_rates_by_hand() -> None:
    kpis = kpis_of(*EVERY_SECOND, slos=(FAST,))

    assert value_of(kpis, "target_qps").value == 1.0
    assert value_of(kpis, "offered_qps").value == pytest.approx(1.0)  # 10 planned / 10 s
    assert value_of(kpis, "arrival_rate_qps").value == pytest.approx(1.0)  # 9 / 9 s
    assert value_of(kpis, "throughput_qps").value == pytest.approx(0.9)  # the last ends at 10.0 s
    assert value_of(kpis, "goodput_qps").value == pytest.approx(0.5)  # 0.1 to 0.5 s
    assert value_of(kpis, "error_ratio").value == 0.0


def test_the_arrival_rate_is_that_of_actual_sends() -> None:
    requests = [Request(0.0), Request(1.0), Request(2.0, sent=4.0)]

    assert value_of(kpis_of(*requests), "arrival_rate_qps").value == pytest.approx(2 / 4)


def test_gap_variation_by_hand() -> None:
    # planned gaps 1, 3: mean 2, deviation 1; sent gaps 2, 2
    requests = [Request(0.0), Request(1.0, sent=2.0), Request(4.0)]
    kpis = kpis_of(*requests)

    assert value_of(kpis, "planned_gap_cv").value == pytest.approx(0.5)
    assert value_of(kpis, "gap_cv").value == pytest.approx(0.0)


def test_offered_load_is_rate_times_service_time_from_the_send() -> None:
    requests = [Request(0.0, sent=0.5, latency=1.0), Request(2.0, sent=2.5, latency=2.0)]

    # sent at 0.5 and 2.5: 1 / 2 s; service 0.5 and 1.5 s, mean 1
    assert value_of(kpis_of(*requests), "offered_load_erlangs").value == pytest.approx(0.5)


def test_errors_count_as_infinite_latency_and_in_the_error_ratio() -> None:
    requests = [
        Request(0.1 * at, latency=1.0 if at % 10 else 0.01, error=None if at % 10 else "http_5xx")
        for at in range(100)
    ]
    kpis = kpis_of(*requests, slos=(replace(FAST, limit=2.0),))

    assert value_of(kpis, "error_ratio").value == pytest.approx(0.1)
    assert value_of(kpis, "goodput_qps").value == pytest.approx(9.0)
    assert value_of(kpis, "latency_seconds", "p50").value == pytest.approx(1.0)
    p95 = value_of(kpis, "latency_seconds", "p95")
    assert math.isnan(p95.value)
    assert p95.quality == "not estimable: 10 % of requests failed"
    mean = value_of(kpis, "latency_seconds", "mean")
    assert mean.value == pytest.approx(1.0)
    assert mean.ci_high == math.inf
    assert mean.quality == "flagged: mean of good answers, 10 % of requests failed"


def test_latency_has_its_percentiles_mean_and_maximum() -> None:
    rng = np.random.default_rng(1)
    latencies = rng.permutation(np.linspace(0.01, 1.0, 100))
    kpis = kpis_of(*(Request(0.1 * at, latency=float(each)) for at, each in enumerate(latencies)))

    assert value_of(kpis, "latency_seconds", "p50").value == pytest.approx(0.505)
    assert value_of(kpis, "latency_seconds", "p95").value == pytest.approx(0.9505)
    assert value_of(kpis, "latency_seconds", "mean").value == pytest.approx(0.505)
    assert value_of(kpis, "latency_seconds", "max").value == pytest.approx(1.0)
    assert value_of(kpis, "latency_seconds", "p99").quality == "not estimable: needs n ≥ 368"


def streamed(count: int = 40, gap: float = 0.02) -> list[Request]:
    """Give answers of five tokens: the first 0.1 s after the plan, then every `gap`."""
    chunks = tuple(0.1 + gap * place for place in range(5))
    return [Request(0.2 * at, latency=chunks[-1] + 0.01, chunks=chunks) for at in range(count)]


def test_times_of_a_stream_by_hand() -> None:
    kpis = kpis_of(*streamed())

    assert value_of(kpis, "ttft_seconds", "p90").value == pytest.approx(0.1)
    assert value_of(kpis, "itl_seconds", "p50").value == pytest.approx(0.02)
    assert value_of(kpis, "itl_seconds", "p50").n == 160  # 40 requests · 4 gaps
    assert value_of(kpis, "tpot_seconds", "p50").value == pytest.approx(0.02)  # 0.08 / 4
    assert value_of(kpis, "output_tokens_per_second").value == pytest.approx(20.0)  # 200 / 10 s
    assert value_of(kpis, "output_tokens", "mean").value == pytest.approx(5)
    assert value_of(kpis, "input_tokens", "mean").value == pytest.approx(10)


def test_time_per_token_uses_the_servers_count_not_the_chunks() -> None:
    requests = [replace(request, output_tokens=9) for request in streamed()]  # two tokens a chunk

    assert value_of(kpis_of(*requests), "tpot_seconds", "p50").value == pytest.approx(0.01)


def test_answers_without_chunks_have_no_streaming_times() -> None:
    kpis = kpis_of(*EVERY_SECOND)

    for metric in ("ttft_seconds", "itl_seconds", "tpot_seconds"):
        row = value_of(kpis, metric, "p50")
        assert math.isnan(row.value)
        assert row.quality.startswith("missing: no")


def test_failed_requests_weigh_on_every_time() -> None:
    requests = [
        replace(each, error="reset", latency=0.05, chunks=()) if place % 4 == 0 else each
        for place, each in enumerate(streamed(48))
    ]
    kpis = kpis_of(*requests)

    for metric in ("latency_seconds", "ttft_seconds", "itl_seconds", "tpot_seconds"):
        row = value_of(kpis, metric, "p90")
        assert row.quality == "not estimable: 25 % of requests failed", metric
        assert row.ci_high == math.inf


def test_cached_tokens_are_a_ratio_of_totals() -> None:
    requests = [
        Request(0.0, input_tokens=10, cached_tokens=0),
        Request(1.0, input_tokens=30, cached_tokens=20),
    ]

    assert value_of(kpis_of(*requests), "cached_token_ratio").value == pytest.approx(0.5)


def test_requests_in_flight_are_sent_and_not_ended() -> None:
    # in flight 1 to 3 s and 2 to 3 s: (2 + 1) / 10; in the system from the plans, 0 and 1 s
    requests = [Request(0.0, sent=1.0, latency=3.0), Request(1.0, sent=2.0, latency=2.0)]
    kpis = kpis_of(*requests)

    assert value_of(kpis, "requests_in_flight", "mean").value == pytest.approx(0.3)
    assert value_of(kpis, "requests_in_flight", "max").value == 2
    assert value_of(kpis, "requests_in_system", "mean").value == pytest.approx(0.5)


def test_an_unfinished_request_stays_in_flight_until_the_drain() -> None:
    kpis = kpis_of(Request(5.0, latency=None, error="unfinished"))

    assert value_of(kpis, "requests_in_flight", "mean").value == pytest.approx(0.5)


def test_lateness_is_judged_by_the_latency_that_slos_judge() -> None:
    # latency p50 = 1.0 s → 50 ms; ttft p50 = 0.1 s → 5 ms
    requests = [
        replace(each, latency=1.0, sent=each.planned + (0.02 if place < 4 else 0.0))
        for place, each in enumerate(streamed())
    ]

    on_latency = kpis_of(*requests, slos=(Slo("a", "latency_seconds", "p50", 2.0),))
    on_ttft = kpis_of(*requests, slos=(Slo("a", "ttft_seconds", "p50", 2.0),))

    assert value_of(on_latency, "late_ratio").value == 0.0
    assert value_of(on_ttft, "late_ratio").value == pytest.approx(0.1)
    assert 'later_than_seconds="0.005"' in value_of(on_ttft, "late_ratio").source


def test_lateness_is_judged_by_the_limit_where_the_service_is_slower() -> None:
    # latency p50 = 10 s, limit 1 s → 50 ms, not 500 ms
    slow = [Request(float(at), latency=10.0, sent=at + 0.1) for at in range(10)]

    kpis = kpis_of(*slow, slos=(Slo("a", "latency_seconds", "p50", 1.0),))

    assert value_of(kpis, "late_ratio").value == 1.0


def test_a_request_never_sent_is_late() -> None:
    requests = [*EVERY_SECOND, Request(9.5, latency=None, error="not_sent")]

    kpis = kpis_of(*requests)

    assert value_of(kpis, "late_ratio").value == pytest.approx(1 / 11)
    assert value_of(kpis, "dispatch_lag_seconds", "max").quality.startswith("flagged: largest good")


def test_the_client_tells_on_itself() -> None:
    kpis = kpis_of(*EVERY_SECOND)

    assert value_of(kpis, "client_cpu_ratio").value == pytest.approx(0.1)  # 2 s of 20 s
    assert value_of(kpis, "event_loop_lag_seconds", "p99").value == 0.001
    assert value_of(kpis, "client_backlog", "max").value == 0
    assert value_of(kpis, "client_suspended_seconds").value == 0
    assert value_of(kpis, "steal_ratio").value == 0.01
    assert value_of(kpis, "client_resolution_seconds").value == pytest.approx(0.001)


def test_a_silent_client_is_missing_not_zero() -> None:
    kpis = cell_kpis(cell(Step(EVERY_SECOND, client=None)))

    for metric, stat in (
        ("client_cpu_ratio", "value"),
        ("client_backlog", "max"),
        ("client_suspended_seconds", "value"),
    ):
        assert math.isnan(value_of(kpis, metric, stat).value)
        assert value_of(kpis, metric, stat).quality == "missing: the client did not report it"


def test_times_finer_than_the_client_can_tell_are_flagged() -> None:
    client = {**GOOD_CLIENT, "event_loop_lag_seconds": {"p50": 0.003, "p99": 0.01, "max": 0.02}}
    kpis = cell_kpis(cell(Step(streamed(), client=client)))

    flag = "flagged: under ten times the client's resolution of 0.003 s"
    assert value_of(kpis, "itl_seconds", "p50").quality == flag  # 0.02 < 0.03
    assert value_of(kpis, "latency_seconds", "p50").quality == "ok"  # 0.19


def test_an_over_saturated_step_prints_its_latency_flagged() -> None:
    kpis = cell_kpis(cell(queue_step(16.0, 30.0, seed=1, queue=Queue(capacity=10.0))))

    assert value_of(kpis, "throughput_qps").value == pytest.approx(10.0, rel=0.02)
    for metric in ("latency_seconds", "ttft_seconds"):
        quality = value_of(kpis, metric, "p90").quality
        assert "over-saturated, latency is a function of time" in quality
    assert value_of(kpis, "itl_seconds", "p90").quality == "ok"


def test_kpis_do_not_depend_on_the_order_of_rows() -> None:
    data = ladder([4.0], seconds=20.0)
    shuffled = CellData(
        data.cell,
        data.windows,
        data.requests.sample(frac=1.0, random_state=1),
        data.series.sample(frac=1.0, random_state=2),
        data.environment,
    )

    pd.testing.assert_frame_equal(cell_kpis(data, [FAST]), cell_kpis(shuffled, [FAST]))
