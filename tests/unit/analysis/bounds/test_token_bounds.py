"""Bounds of token generation and of prompts: memory, arithmetic, and what is missing for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.bounds.bound import MEMORY
from unit.analysis.bounded import CPU, KERNEL, MODEL, STEP, TOKENS, inputs_of, of, one, rows_for

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_a_sequence_reads_model_and_cache_for_each_token() -> None:
    row = one(rows_for(of(TOKENS), STEP), "token_rate_per_sequence", 1)

    # context: 80 + 40 / 2 = 100 tokens of 1 MB; 10 GB/s / (100 MB + 100 MB) = 50 tokens/s
    assert row["value"] == pytest.approx(50.0)
    assert row["attained"] == pytest.approx(40.0)  # 1 / 0.025 s
    assert row["ratio"] == pytest.approx(0.8)
    assert row["kind"] == MEMORY
    assert row["words"] == (
        "tokens of one sequence, median: 40 tokens/s, 80 % of the memory-bandwidth bound of 50 tokens/s"
    )


def test_sequences_share_one_read_of_the_weights() -> None:
    row = one(rows_for(of(TOKENS), STEP), "token_rate", 1)

    # 2 in flight: 2 × 10 GB/s / (100 MB + 2 × 100 MB)
    assert row["value"] == pytest.approx(2 * 10e9 / 300e6)
    assert row["ratio"] == pytest.approx(60 / (2 * 10e9 / 300e6))
    assert inputs_of(row)["sequences"] == 2.0


def test_no_more_sequences_are_in_use_than_there_are_slots() -> None:
    row = one(rows_for(of(TOKENS), STEP | {("requests_in_flight", "mean"): 30.0}), "token_rate", 1)

    assert row["value"] == pytest.approx(4 * 10e9 / 500e6)  # 4 slots
    assert inputs_of(row)["sequences"] == 4.0


def test_all_slots_are_held_against_the_best_valid_step() -> None:
    better = STEP | {("output_tokens_per_second", "value"): 64.0}
    gates = [{"cell": of(TOKENS).name, "step": 2, "outcome": "fail", "invalidates": True}]

    every = one(rows_for(of(TOKENS), STEP, better), "token_rate", None)
    valid = one(rows_for(of(TOKENS), STEP, better, gates=gates), "token_rate", None)
    invalid = one(rows_for(of(TOKENS), STEP, better, gates=gates), "token_rate", 2)

    assert every["value"] == pytest.approx(80.0)  # 4 × 10 GB/s / (100 MB + 4 × 100 MB)
    assert (every["attained"], valid["attained"]) == (64.0, 60.0)
    assert invalid["words"].endswith("; the step is INVALID")


def test_a_prompt_takes_two_operations_for_each_weight_but_the_last_layers() -> None:
    rows = rows_for(of(TOKENS), STEP | {("cached_token_ratio", "value"): 0.25})

    prompt = one(rows, "prompt_rate", 1)
    assert prompt["value"] == pytest.approx(200e9 / (2 * 100e6))  # 150 − 50 million weights
    assert prompt["attained"] == pytest.approx(60 / 0.4)  # 80 tokens, a quarter of them cached
    request = one(rows, "request_rate", 1)
    # 60 + 40 − 1 passes through 100 million weights, 40 tokens chosen by 50 million
    assert request["value"] == pytest.approx(200e9 / (2 * (99 * 100e6 + 40 * 50e6)))
    assert request["attained"] == 2.0
    assert request["unit"] == "requests/s"


def test_a_first_token_that_waits_in_a_growing_queue_says_nothing_of_arithmetic() -> None:
    flagged = "flagged: over-saturated, latency is a function of time"
    names = {row["name"] for row in rows_for(of(TOKENS), STEP, quality=flagged)}

    assert "prompt_rate" not in names
    assert "request_rate" in names


def test_every_input_says_where_it_comes_from() -> None:
    models = {"service": {"models": [{"name": "m", "sha256": "abcdef0123456789"}]}}
    row = one(rows_for(of(TOKENS, **models), STEP), "token_rate_per_sequence", 1)

    source = {each["name"]: each["source"] for each in row["inputs"]}
    assert source["memory_bandwidth_bytes_per_second"] == (
        "measured here on n1 at 2023-11-14 22:13:20 UTC before the service started: best of 10 "
        "passes (median 9 GB/s, lowest 8 GB/s), dot product, 2 threads, arrays of 128 MB"
    )
    assert source["model_bytes"] == "header of m.gguf (GGUF 3, SHA-256 abcdef012345…)"
    assert source["context_tokens"].startswith("kpis: input_tokens mean")


def test_a_given_figure_counts_before_a_measured_one() -> None:
    given = {"memory_bandwidth_bytes_per_second": 20e9}
    row = one(rows_for(of(TOKENS), STEP, given=given), "token_rate_per_sequence", 1)

    assert row["value"] == pytest.approx(100.0)
    assert "given: bounds.memory_bandwidth_bytes_per_second" in row["inputs"][0]["source"]


def test_the_recipes_figures_count_before_those_of_the_file() -> None:
    own = {"model_bytes": 50e6, "active_parameters": 80e6, "cache_bytes_per_token": 0.5e6}
    declared = TOKENS | {"recipe": {"tokens": TOKENS["recipe"]["tokens"] | own}}
    rows = rows_for(of(declared), STEP)

    assert one(rows, "token_rate_per_sequence", 1)["value"] == pytest.approx(10e9 / 100e6)
    assert one(rows, "prompt_rate", 1)["value"] == pytest.approx(200e9 / (2 * 80e6))


@pytest.mark.parametrize(
    ("changes", "missing", "said_so"),
    [
        (
            {"cpu": None, "cpu_note": "bounds.measure is false"},
            "memory_bandwidth_bytes_per_second",
            "bounds.measure is false; give bounds.memory_bandwidth_bytes_per_second",
        ),
        (
            {"model": None, "model_note": "the file is gone"},
            "model_bytes",
            "the file is gone; give bounds.tokens.model_bytes in the recipe",
        ),
    ],
)
def test_a_missing_input_is_named_with_the_way_to_give_it(
    changes: Mapping[str, Any], missing: str, said_so: str
) -> None:
    row = one(rows_for(of(TOKENS | changes), STEP), "token_rate", None)

    assert (row["value"], row["attained"], row["ratio"]) == (None, None, None)
    assert inputs_of(row)[missing] is None
    assert said_so in row["words"]
    assert row["exceeded"] is False


def test_without_slots_the_bound_of_all_of_them_is_missing_and_the_others_stand() -> None:
    rows = rows_for(of(TOKENS | {"recipe": {"tokens": {"device": "cpu"}}}), STEP)

    assert one(rows, "token_rate", 1)["value"] == pytest.approx(2 * 10e9 / 300e6)
    assert "bounds.tokens.sequences" in one(rows, "token_rate", None)["words"]


def test_a_model_in_the_cache_is_not_bounded_by_memory() -> None:
    small = TOKENS | {"model": MODEL | {"read_bytes_per_token": 30_000_000}}
    row = one(rows_for(of(small), STEP), "token_rate", None)

    assert row["value"] is None
    assert "(30 MB) fits in the last-level cache (32 MB)" in row["words"]


def test_an_unknown_cache_of_keys_leaves_a_looser_bound() -> None:
    unknown = TOKENS | {"model": MODEL | {"cache_bytes_per_token": None}}
    row = one(rows_for(of(unknown), STEP), "token_rate_per_sequence", 1)

    assert row["value"] == pytest.approx(100.0)  # 10 GB/s / 100 MB
    assert "cache_bytes_per_token" not in inputs_of(row)


def test_gpus_are_bounded_by_what_their_data_say() -> None:
    gpu = {
        "name": "H100",
        "memory_bandwidth_bytes_per_second": 3e12,
        "flops_per_second": 1e15,
    }
    two = TOKENS | {"recipe": {"tokens": {"device": "gpu", "sequences": 4}}, "gpus": [gpu, gpu]}
    rows = rows_for(of(two), STEP)

    row = one(rows, "token_rate_per_sequence", 1)
    assert row["value"] == pytest.approx(6e12 / 200e6)
    assert row["inputs"][0]["source"] == "theoretical, of H100, H100: memory clock × bus width"
    assert one(rows, "prompt_rate", 1)["value"] == pytest.approx(2e15 / 200e6)

    silent = two | {"gpus": [gpu, gpu | {"memory_bandwidth_bytes_per_second": None}]}
    assert one(rows_for(of(silent), STEP), "token_rate", None)["value"] is None


def test_more_than_the_bound_is_said_and_not_cut_off() -> None:
    fast = STEP | {("output_tokens_per_second", "value"): 150.0}
    row = one(rows_for(of(TOKENS), fast), "token_rate", 1)

    assert row["ratio"] == pytest.approx(150 / (2 * 10e9 / 300e6))  # 2.25
    assert row["exceeded"] is True
    assert "150 tokens/s, 2.25 times the memory-bandwidth bound" in row["words"]
    assert "more than the bound allows, so an input of it is wrong" in row["words"]


def test_an_interval_that_reaches_below_the_bound_excuses_the_value() -> None:
    fast = STEP | {("output_tokens_per_second", "value"): 75.0}
    row = one(rows_for(of(TOKENS), fast, low=60.0), "token_rate", 1)  # the bound is 66.7

    assert row["ratio"] > 1.05
    assert row["exceeded"] is False
    assert "chance can explain it" in row["words"]


@settings(max_examples=50, deadline=None)
@given(
    bandwidth=st.floats(1e8, 1e13),
    read=st.integers(10**8, 10**12),
    kept=st.integers(0, 10**7),
    flight=st.floats(0.01, 1000),
    slots=st.integers(1, 256),
)
def test_sharing_never_slows_the_service_nor_quickens_a_sequence(
    bandwidth: float, read: int, kept: int, flight: float, slots: int
) -> None:
    known = {
        "recipe": {"tokens": {"device": "cpu", "sequences": slots}},
        "cpu": CPU | {"read": {**KERNEL, "best": bandwidth}},
        "model": MODEL | {"read_bytes_per_token": read, "cache_bytes_per_token": kept},
    }
    rows = rows_for(of(known), STEP | {("requests_in_flight", "mean"): flight})
    single = one(rows, "token_rate_per_sequence", 1)["value"]
    used = one(rows, "token_rate", 1)["value"]
    everything = one(rows, "token_rate", None)["value"]

    assert used <= everything * (1 + 1e-9)
    assert used <= min(flight, slots) * single * (1 + 1e-9) or flight < 1
    assert everything <= slots * single * (1 + 1e-9)
    for row in rows:
        assert row["ratio"] == pytest.approx(row["attained"] / row["value"])
