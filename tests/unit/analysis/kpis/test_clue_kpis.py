"""KPIs that say why: failures by class, growth of memory, long prompts in the way of others."""

from __future__ import annotations

import numpy as np
import pytest

from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import NODE_TARGET, Request, Step, cell, value_of

MEMORY = "escalade_process_resident_memory_bytes"
SLOW = "long_prompt_slowdown_ratio"


def test_failed_requests_are_counted_by_class() -> None:
    errors = [None, "timeout", "timeout", "http_5xx", None, None]
    requests = [Request(1.0 * at, 0.1, error=error) for at, error in enumerate(errors)]

    kpis = cell_kpis(cell(Step(requests)))

    rows = kpis[kpis["metric"] == "failed_requests"]
    found = dict(zip(rows["source"], rows["value"], strict=True))
    assert found == {
        'requests.parquet{error="http_5xx"}': 1.0,
        'requests.parquet{error="timeout"}': 2.0,
    }
    assert set(rows["n"]) == {6}


def test_a_request_without_an_end_is_unfinished() -> None:
    kpis = cell_kpis(cell(Step([Request(0.0), Request(1.0, latency=None)])))

    assert value_of(kpis, "failed_requests")["source"].endswith('{error="unfinished"}')


def test_a_step_without_failures_has_no_such_row() -> None:
    assert not (cell_kpis(cell(Step([Request(0.0)])))["metric"] == "failed_requests").any()


def grown(levels: list[float]) -> Step:
    """Sample the service's memory every half second of a window of ten."""
    labels = {"role": "service", **NODE_TARGET}
    samples = [(MEMORY, labels, 0.5 * at, level) for at, level in enumerate(levels)]
    return Step([Request(0.0)], samples=samples)


def test_memory_that_grows_has_its_slope_with_an_interval_above_zero() -> None:
    row = value_of(
        cell_kpis(cell(grown([1e9 + 500.0 * at for at in range(20)]))),
        "service_memory_growth_bytes_per_second",
    )

    # 500 bytes each half second
    assert row["value"] == pytest.approx(1000.0)
    assert row["ci_low"] > 0


def test_memory_that_only_fluctuates_is_not_told_from_zero() -> None:
    noise = np.random.default_rng(1).normal(0, 1e6, 20)
    row = value_of(
        cell_kpis(cell(grown((1e9 + noise).tolist()))), "service_memory_growth_bytes_per_second"
    )

    assert row["ci_low"] < 0 < row["ci_high"]


def test_memory_of_a_window_with_few_samples_has_no_slope() -> None:
    row = value_of(cell_kpis(cell(grown([1e9] * 8))), "service_memory_growth_bytes_per_second")

    assert np.isnan(row["value"])
    assert row["quality"].startswith("not estimable: ")
    assert "do not fill ten blocks" in row["quality"]


def streams(stall: float, longs: int = 6) -> Step:
    """Stream 60 short answers of ten tokens; while a long prompt is read, gaps take `stall` times as long.

    A long prompt is sent every 1.5 s and read for 0.5 s.
    """
    begun = [0.72 + 1.5 * place for place in range(longs)]
    requests = [Request(at, 0.5, chunks=(0.5,), input_tokens=1000, output_tokens=1) for at in begun]
    for place in range(60):
        planned, at, chunks = 0.15 * place, 0.15 * place, []
        for _ in range(10):
            read = any(start <= at < start + 0.5 for start in begun)
            at += 0.05 * (stall if read else 1.0)
            chunks.append(at - planned)
        requests.append(Request(planned, chunks[-1], chunks=chunks, input_tokens=50))
    return Step(sorted(requests, key=lambda request: request.planned))


def test_gaps_while_a_long_prompt_is_read_are_held_against_the_others_of_the_same_answer() -> None:
    row = value_of(cell_kpis(cell(streams(3.0))), SLOW)

    assert row["value"] == pytest.approx(3.0, rel=0.05)
    assert row["ci_low"] > 2.5
    assert row["n"] >= 20


def test_long_prompts_that_disturb_nobody_have_a_ratio_of_one() -> None:
    assert value_of(cell_kpis(cell(streams(1.0))), SLOW)["value"] == pytest.approx(1.0, rel=0.01)


def test_gaps_that_vary_by_themselves_are_not_laid_to_the_prompts() -> None:
    rng = np.random.default_rng(7)
    step = streams(1.0)
    varied = [
        request
        if request.input_tokens == 1000
        else Request(
            request.planned,
            None if request.latency is None else 5.0,
            chunks=np.cumsum(rng.exponential(0.05, 10)).tolist(),
            input_tokens=50,
        )
        for request in step.requests
    ]

    row = value_of(cell_kpis(cell(Step(varied))), SLOW)

    assert row["ci_low"] < 1.0
    assert row["value"] < 1.2


@pytest.mark.parametrize("longs", [0, 4])
def test_prompts_that_are_alike_have_no_such_ratio(longs: int) -> None:
    assert not (cell_kpis(cell(streams(3.0, longs)))["metric"] == SLOW).any()
