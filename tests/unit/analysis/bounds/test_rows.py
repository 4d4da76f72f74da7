"""Upper bounds, worked out by hand; what is missing is named, what is exceeded is said."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.bounds.bound import MEMORY, Bound, said
from escalade.analysis.bounds.rows import bound_rows
from unit.analysis.bounded import CPU, STEP, TOKENS, kpis_of, of, one, rows_for
from unit.analysis.builders import cell

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


def test_a_cell_of_an_earlier_release_says_what_it_lacks() -> None:
    (row,) = rows_for(cell(), STEP)

    assert (row["value"], row["ratio"], row["kind"]) == (None, None, "none")
    assert "no bounds.json" in row["words"]
    assert "measure it again" in row["words"]


def test_a_recipe_without_bounds_is_told_where_they_are_explained() -> None:
    (row,) = rows_for(of({"recipe": {}, "schema": 1}), STEP)

    assert "docs/bounds.md" in row["words"]


@given(st.floats(1e-3, 1e18))
def test_a_figure_in_words_keeps_its_size(value: float) -> None:
    number, prefixed = said(value, "bytes/s").split(" ")
    factor = {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}[prefixed]

    assert float(number) * factor == pytest.approx(value, rel=0.006)


def test_the_words_of_a_bound_without_a_measurement_name_it() -> None:
    row = Bound("x", MEMORY, "tokens", 50.0, "tokens/s").row({"cell": "c"})

    assert row["words"] == "tokens: the memory-bandwidth bound is 50 tokens/s"
