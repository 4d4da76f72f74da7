"""Headroom of GPUs: by memory, or by the cache of an engine that has reserved its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.gpu.headroom import Engine, cache_use, judge, least_used
from escalade.gpu.placement import Card

PAGES = Path(__file__).parents[2] / "data" / "metrics"
URL = "http://127.0.0.1:8000/metrics"
GB = 10**9


@pytest.mark.parametrize(
    ("used", "outcome", "share"), [(63, "PASS", 0.2125), (64, "PASS", 0.2), (65, "FAIL", 0.1875)]
)
def test_a_fifth_of_the_memory_is_to_be_free(used: int, outcome: str, share: float) -> None:
    (gpu,) = judge([Card("0", 80 * GB, used * GB)])

    assert gpu.outcome == outcome
    assert gpu.free_share == pytest.approx(share)
    assert gpu.basis == "memory"


def test_an_engine_that_reserved_its_memory_is_judged_by_its_cache() -> None:
    card = Card("0", 80 * GB, 72 * GB)  # 90 % reserved when it started

    (idle,) = judge([card], [Engine(URL, cache_use=0.3)])
    (full,) = judge([card], [Engine(URL, cache_use=0.85)])

    assert (idle.outcome, idle.basis) == ("PASS", "KV cache")
    assert full.outcome == "FAIL"
    assert "15.0% of its KV cache is free (< 20%)" in full.why


def test_an_engine_counts_on_its_own_gpus_only() -> None:
    cards = [Card("0", 80 * GB, 72 * GB), Card("1", 80 * GB, 72 * GB)]

    found = judge(cards, [Engine(URL, ("1",), 0.1)])

    assert [gpu.outcome for gpu in found] == ["FAIL", "PASS"]


def test_the_fullest_of_several_engines_counts() -> None:
    (gpu,) = judge([Card("0", GB, 0)], [Engine(URL, cache_use=0.1), Engine(URL, cache_use=0.9)])

    assert gpu.outcome == "FAIL"
    assert gpu.free_share == pytest.approx(0.1)


def test_an_engine_that_does_not_answer_leaves_the_gpu_undecided() -> None:
    card = Card("0", 80 * GB, 0)
    silent = Engine(URL, problem="does not answer (ConnectionError)")

    (gpu,) = judge([card], [silent, Engine(URL, cache_use=0.1)])
    (full,) = judge([card], [silent, Engine(URL, cache_use=0.9)])

    assert (gpu.outcome, gpu.free_share) == ("UNKNOWN", None)
    assert "does not answer" in gpu.why
    assert full.outcome == "FAIL"  # whatever the silent one would say


@pytest.mark.parametrize("page", ["vllm-0.33.0", "vllm-0.8.2"])
def test_the_cache_of_vllm_is_read_by_its_name_of_that_version(page: str) -> None:
    assert cache_use((PAGES / f"{page}.prom").read_text()) == 0.3412


def test_of_several_ranks_of_an_engine_the_fullest_is_read() -> None:
    page = 'sglang:token_usage{rank="0"} 0.2\nsglang:token_usage{rank="1"} 0.7\n'

    assert cache_use(page) == 0.7


def test_a_page_without_such_a_cache_says_nothing() -> None:
    assert cache_use((PAGES / "operations.prom").read_text()) is None


def test_what_is_used_least_goes_first_and_of_equals_the_one_loaded_last() -> None:
    assert least_used({"first": 10.0, "second": 3.0, "third": 3.0}) == "third"
    assert least_used({"first": 1.0, "second": 3.0}) == "first"


def test_where_one_is_not_counted_none_is_preferred() -> None:
    assert least_used({"first": 0.0, "second": None, "third": 9.0}) == "third"
    assert least_used({}) is None


@given(
    total=st.integers(1, 10**12),
    share=st.floats(0, 1),
    headroom=st.floats(0, 1, exclude_max=True),
)
def test_a_gpu_fails_when_and_only_when_less_than_the_headroom_is_free(
    total: int, share: float, headroom: float
) -> None:
    used = int(total * share)

    (gpu,) = judge([Card("0", total, used)], headroom=headroom)

    assert (gpu.outcome == "PASS") == ((total - used) / total >= headroom)
    assert gpu.free_bytes + gpu.used_bytes == total
