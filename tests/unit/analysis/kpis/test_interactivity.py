"""Tokens per second per GPU, core or node, and per user, by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.kpis.interactivity import (
    PER_CORE,
    PER_GPU,
    PER_NODE,
    PER_USER,
    SHARES,
    share_of,
)
from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import Request, Step, cell, value_of

if TYPE_CHECKING:
    import pandas as pd

APART = {"client_cpus": [2, 3], "service_cpus": [0, 1]}


def streamed(gap: float, count: int = 40) -> list[Request]:
    """Give answers of five tokens, one every `gap` seconds, one answer every quarter of a second."""
    chunks = [0.1 + gap * place for place in range(5)]
    return [Request(0.25 * at, latency=chunks[-1], chunks=chunks) for at in range(count)]


def kpis_of(requests: list[Request], **environment: Any) -> pd.DataFrame:
    return cell_kpis(cell(Step(requests, seconds=10.0), **environment))


def test_tokens_are_shared_among_the_cores_of_the_service_where_it_has_no_gpu() -> None:
    kpis = kpis_of(streamed(0.02), allocation=APART)
    whole, share = value_of(kpis, "output_tokens_per_second"), value_of(kpis, PER_CORE)

    # 40 answers × 5 tokens / 10 s; the last begins at 9.85 s and ends at 9.93 s; two cores
    assert whole.value == pytest.approx(20.0)
    assert share.value == pytest.approx(10.0)
    assert (share.ci_low, share.ci_high) == (whole.ci_low / 2, whole.ci_high / 2)
    assert share.ci_method == whole.ci_method


def test_the_pace_of_a_user_is_the_inverse_of_the_time_per_token_with_its_interval_turned() -> None:
    slow = [Request(r.planned, r.latency, chunks=r.chunks) for r in streamed(0.05, 10)]
    kpis = kpis_of([*streamed(0.02, 30), *slow], allocation=APART)
    per_token, pace = value_of(kpis, "tpot_seconds", "p50"), value_of(kpis, PER_USER, "p50")

    # most answers give a token every 20 ms: 50 tokens/s
    assert pace.value == pytest.approx(50.0)
    assert pace.ci_low == pytest.approx(1 / per_token.ci_high)
    assert pace.ci_high == pytest.approx(1 / per_token.ci_low)
    assert pace.ci_low <= pace.value <= pace.ci_high
    assert (pace.n, pace.ci_method) == (per_token.n, per_token.ci_method)


def test_where_half_of_the_requests_fail_there_is_no_pace_and_it_says_so() -> None:
    failed = [Request(0.25 * at, error="http_5xx") for at in range(40)]
    pace = value_of(kpis_of([*streamed(0.02), *failed, *failed], allocation=APART), PER_USER, "p50")

    assert math.isnan(pace.value)
    assert pace.quality == "not estimable: 66.7 % of requests failed"


def test_a_service_that_gives_no_tokens_has_none_of_these_rows() -> None:
    kpis = kpis_of([Request(0.25 * at, latency=0.1) for at in range(40)], allocation=APART)

    assert not set(kpis["metric"]) & {*SHARES, PER_USER}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"allocation": {"service_gpus": ["0", "1"], "service_cpus": [0, 1, 2]}}, (PER_GPU, 2)),
        # two nodes with four GPUs each
        ({"allocation": {"service_gpus": list("0123"), "service_nodes": ["a", "b"]}}, (PER_GPU, 8)),
        ({"allocation": {"service_cpus": [0]}, "gpus": [{"name": "A100"}]}, (PER_GPU, 1)),
        ({"allocation": {"service_cpus": [0, 1], "service_nodes": ["a"]}}, (PER_CORE, 2)),
        # CPUs are known of the first node only
        ({"allocation": {"service_cpus": [0, 1], "service_nodes": ["a", "b"]}}, (PER_NODE, 2)),
        ({"allocation": {"service_cpus": [], "service_nodes": ["a"]}}, (PER_NODE, 1)),
        ({"allocation": APART, "service": {"external_url": "http://elsewhere"}}, None),
        ({}, None),
    ],
)
def test_what_tokens_are_shared_among(
    environment: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    assert share_of(environment) == expected
