"""Upper bounds, worked out by hand; what is missing is named, what is exceeded is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.bound import MEMORY, Bound, said
from escalade.analysis.bounds import bound_rows
from unit.analysis.builders import cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.cell import CellData

KERNEL = {"median": 9e9, "lowest": 8e9, "passes": 10, "method": "dot product"}
CPU: dict[str, Any] = {
    "at": 1_700_000_000.0,  # 2023-11-14 22:13:20 UTC
    "node": "n1",
    "threads": 2,
    "array_bytes": 128_000_000,
    "last_level_cache_bytes": 32_000_000,
    "read": {**KERNEL, "best": 10e9},
    "float32": {**KERNEL, "best": 200e9},
}
MODEL: dict[str, Any] = {
    "name": "m",
    "file": "m.gguf",
    "format": "GGUF 3",
    "read_bytes_per_token": 100_000_000,
    "active_parameters": 150_000_000,
    "output_parameters": 50_000_000,
    "cache_bytes_per_token": 1_000_000,
}
TOKENS: dict[str, Any] = {
    "recipe": {"tokens": {"device": "cpu", "sequences": 4}},
    "cpu": CPU,
    "cpu_note": None,
    "model": MODEL,
    "model_note": None,
}
STEP = {
    ("input_tokens", "mean"): 80.0,
    ("output_tokens", "mean"): 40.0,
    ("tpot_seconds", "p50"): 0.025,
    ("ttft_seconds", "mean"): 0.4,
    ("throughput_qps", "value"): 2.0,
    ("output_tokens_per_second", "value"): 60.0,
    ("requests_in_flight", "mean"): 2.0,
}


def of(bounds: Mapping[str, Any], **environment: Any) -> CellData:
    return replace(cell(**environment), bounds=bounds)


def kpis_of(
    data: CellData,
    *steps: Mapping[tuple[str, str], float],
    low: float = math.nan,
    quality: str = "ok",
) -> pd.DataFrame:
    rows = [
        {
            "cell": data.name,
            "deployment": data.deployment,
            "step": number,
            "metric": metric,
            "stat": stat,
            "value": value,
            "ci_low": low,
            "ci_high": math.nan,
            "quality": quality,
            "source": "requests.parquet",
        }
        for number, step in enumerate(steps, start=1)
        for (metric, stat), value in step.items()
    ]
    columns = ["cell", "deployment", "step", "metric", "stat", "value", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*columns, "quality", "source"])


def rows_for(
    data: CellData,
    *steps: Mapping[tuple[str, str], float],
    gates: Sequence[Mapping[str, Any]] = (),
    given: Mapping[str, float] | None = None,
    low: float = math.nan,
    quality: str = "ok",
) -> list[dict[str, Any]]:
    return bound_rows(
        kpis_of(data, *steps, low=low, quality=quality), [data], gates, [], given or {}
    )


def one(rows: Sequence[dict[str, Any]], name: str, step: int | None) -> dict[str, Any]:
    (found,) = [row for row in rows if (row["name"], row["step"]) == (name, step)]
    return found


def inputs_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in row["inputs"]}


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


SCAN: dict[str, Any] = {
    "recipe": {"scan": {"exact": True, "vectors": 100_000, "dimensions": 250}},
    "cpu": CPU,
}
SERVED = {("throughput_qps", "value"): 40.0}


def test_an_exact_search_reads_every_vector() -> None:
    row = one(rows_for(of(SCAN), SERVED), "query_rate", 1)

    # 100,000 × 250 × 4 bytes = 100 MB for each query
    assert row["value"] == pytest.approx(100.0)
    assert row["ratio"] == pytest.approx(0.4)


def test_a_search_in_an_index_or_in_the_cache_has_no_bound() -> None:
    index = SCAN | {"recipe": {"scan": SCAN["recipe"]["scan"] | {"exact": False}}}
    small = SCAN | {"recipe": {"scan": SCAN["recipe"]["scan"] | {"vectors": 10_000}}}

    assert "an index is searched" in one(rows_for(of(index), SERVED), "query_rate", None)["words"]
    assert (
        "fits in the last-level cache"
        in (one(rows_for(of(small), SERVED), "query_rate", None)["words"])
    )


APART = {"launcher": "slurm", "client_node": "a", "service_nodes": ["b"]}
MOVED = {("received_bytes_per_second", "value"): 6e8, ("sent_bytes_per_second", "value"): 1e8}


def test_bytes_are_bounded_by_link_and_disk_where_these_are_given() -> None:
    given = {"link_bytes_per_second": 1.25e9, "disk_bytes_per_second": 2e9}
    rows = rows_for(of({"recipe": {"transfer": True}}, allocation=APART), MOVED, given=given)

    shares = {(row["name"], row["kind"]): row["ratio"] for row in rows}
    assert shares == {
        ("received_bytes", "network"): pytest.approx(0.48),
        ("sent_bytes", "network"): pytest.approx(0.08),
        ("received_bytes", "disk"): pytest.approx(0.3),
        ("sent_bytes", "disk"): pytest.approx(0.05),
    }


def test_without_them_each_is_named_once() -> None:
    rows = rows_for(of({"recipe": {"transfer": True}}, allocation=APART), MOVED)

    assert [(row["kind"], row["value"]) for row in rows] == [("network", None), ("disk", None)]
    assert "give bounds.link_bytes_per_second" in rows[0]["words"]


def test_on_one_node_there_is_no_network_to_bound() -> None:
    here = {"launcher": "local"}
    given = {"link_bytes_per_second": 1.25e9}
    rows = rows_for(of({"recipe": {"transfer": True}}, allocation=here), MOVED, given=given)

    assert rows[0]["value"] is None
    assert "on one node" in rows[0]["words"]


CONFIGURED = {"slots": 4, "first_token_seconds": 0.02, "token_seconds": 0.005}


def test_set_times_give_the_capacity_of_slots() -> None:
    rows = rows_for(of({"recipe": {"configured": CONFIGURED}}), STEP)

    # 40 tokens: 0.02 + 39 × 0.005 = 0.215 s in one of 4 slots
    assert rows[0]["value"] == pytest.approx(4 / 0.215)
    assert rows[0]["attained"] == 2.0
    assert rows[0]["kind"] == "configured"


def test_set_times_of_plain_requests_and_of_batches() -> None:
    plain = of({"recipe": {"configured": {"slots": 4, "request_seconds": 0.1}}})
    batch = of(
        {
            "recipe": {
                "configured": {
                    "slots": 4,
                    "batch_sequences": 8,
                    "step_seconds": 0.01,
                    "sequence_seconds": 0.001,
                    "prefill_seconds": 0.0005,
                }
            }
        }
    )

    assert rows_for(plain, SERVED)[0]["value"] == pytest.approx(40.0)
    # 8 sequences of 40 tokens finish in 40 steps of 0.018 s, which read 8 prompts of 80 tokens
    assert rows_for(batch, STEP)[0]["value"] == pytest.approx(8 / (40 * 0.018 + 8 * 80 * 0.0005))


def test_a_service_without_a_limit_has_no_configured_capacity() -> None:
    (row,) = rows_for(of({"recipe": {"configured": {"token_seconds": 0.005}}}), STEP)

    assert (row["value"], row["step"]) == (None, None)
    assert "not limited" in row["words"]


def test_a_mix_has_no_bound_on_the_number_of_its_requests() -> None:
    for declared in (TOKENS, {"recipe": {"configured": CONFIGURED}}):
        data = of(declared)
        kpis = kpis_of(data, STEP)
        part = kpis.iloc[:1].assign(source='requests.parquet{workload="chat"}')

        rows = bound_rows(pd.concat([kpis, part]), [data], [], [], {})

        assert not [row for row in rows if row["name"] == "request_rate" and row["value"]]
    assert "mix" in rows[0]["words"]


def scaled(deployment: str, replicas: int, **alike: Any) -> CellData:
    declared = {"replicas": replicas, "replicated": {"recipe": "own", **alike}}
    return replace(cell(deployment=deployment), bounds={"recipe": declared})


def capacity_row(deployment: str, qps: float | None, **more: Any) -> dict[str, Any]:
    base = {"deployment": deployment, "cell": "c", "capacity_qps": qps, "ci_low": None}
    return base | more


def scaling(cells: Sequence[CellData], capacity: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = bound_rows(kpis_of(cells[0]), cells, [], capacity, {})
    return [row for row in rows if row["cell"] is None]


def test_replicas_are_held_against_as_many_times_one() -> None:
    cells = [scaled("one", 1, threads=2), scaled("four", 4, threads=2)]
    capacity = [capacity_row("one", 10.0), capacity_row("four", 34.0)]

    (row,) = scaling(cells, capacity)

    assert (row["deployment"], row["value"], row["attained"]) == ("four", 40.0, 34.0)
    assert row["words"] == (
        "capacity of 4 replicas: 34 requests/s, 85 % of the ideal scaling of 40 requests/s"
    )


def test_over_repetitions_the_joint_capacity_counts() -> None:
    cells = [scaled("one", 1), scaled("four", 4)]
    capacity = [
        capacity_row("one", 9.0),
        capacity_row("one", 11.0),
        capacity_row("one", 10.0, cell=None),
        capacity_row("four", 34.0),
    ]

    assert scaling(cells, capacity)[0]["value"] == 40.0


@pytest.mark.parametrize(
    ("cells", "qps"),
    [
        ([scaled("one", 1, threads=2), scaled("four", 4, threads=8)], 34.0),  # they differ in more
        ([scaled("two", 2), scaled("four", 4)], 34.0),  # none of one
        ([scaled("one", 1), scaled("four", 4)], None),  # capacity not known
    ],
)
def test_what_can_not_be_compared_has_no_ideal_scaling(
    cells: Sequence[CellData], qps: float | None
) -> None:
    capacity = [capacity_row(each.deployment, 10.0) for each in cells[:1]]

    assert scaling(cells, [*capacity, capacity_row("four", qps)]) == []


def test_a_cell_of_an_earlier_release_says_what_it_lacks() -> None:
    (row,) = rows_for(cell(), STEP)

    assert (row["value"], row["ratio"], row["kind"]) == (None, None, "none")
    assert "no bounds.json" in row["words"]
    assert "measure it again" in row["words"]


def test_a_recipe_without_bounds_is_told_where_they_are_explained() -> None:
    (row,) = rows_for(of({"recipe": {}, "schema": 1}), STEP)

    assert "docs/bounds.md" in row["words"]


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


@given(st.floats(1e-3, 1e18))
def test_a_figure_in_words_keeps_its_size(value: float) -> None:
    number, prefixed = said(value, "bytes/s").split(" ")
    factor = {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}[prefixed]

    assert float(number) * factor == pytest.approx(value, rel=0.006)


def test_the_words_of_a_bound_without_a_measurement_name_it() -> None:
    row = Bound("x", MEMORY, "tokens", 50.0, "tokens/s").row({"cell": "c"})

    assert row["words"] == "tokens: the memory-bandwidth bound is 50 tokens/s"
