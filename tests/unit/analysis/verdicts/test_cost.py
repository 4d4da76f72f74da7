"""Node-hours and prices, by hand and by properties."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.verdicts.cost import (
    Holding,
    Part,
    cost,
    partition_rows,
    serving_rows,
    tokens_per_request,
)
from escalade.analysis.verdicts.prices import Prices
from unit.analysis.builders import Step, cell

HOUR = 3600.0
CPU = Part("client", "cpu", 1, cpus=256, gpus=0)
GPU = Part("service", "gpu", 2, cpus=128, gpus=4)
LAPTOP = (Part("all", "local", 1, cpus=2, gpus=0),)
EURO = Prices("EUR", {"cpu": 1.0, "gpu": 5.0}, {"gpu": 1.5})


def held(start: float, end: float, job: str | None = "7", **changes: Any) -> Holding:
    """Hold for some hours, in hours."""
    parts = LAPTOP if job is None else (CPU, GPU)
    return Holding("a", start * HOUR, end * HOUR, parts, job, **changes)


def by_partition(*holdings: Holding, prices: Prices | None = None) -> dict[str, dict[str, Any]]:
    rows = partition_rows(holdings, prices or Prices())
    return {row["partition"]: row for row in rows}


def test_a_job_costs_each_of_its_components_in_their_partitions() -> None:
    rows = by_partition(held(1, 3), prices=EURO)

    # 2 h: one node of cpu, two of gpu with 4 GPUs each
    assert (rows["cpu"]["node_hours"], rows["gpu"]["node_hours"]) == (2.0, 4.0)
    assert (rows["cpu"]["cpu_hours"], rows["gpu"]["gpu_hours"]) == (512.0, 16.0)
    assert (rows["cpu"]["amount"], rows["gpu"]["amount"]) == (2.0, 20.0)
    assert rows["gpu"]["basis"] == "node_hour"


def test_a_job_that_is_kept_for_the_next_cell_costs_in_between_as_well() -> None:
    rows = by_partition(held(0, 1), held(2, 3))

    assert rows["cpu"]["node_hours"] == 3.0
    assert rows["cpu"]["allocations"] == 1


def test_jobs_side_by_side_add_up_and_cells_on_one_machine_do_not() -> None:
    assert by_partition(held(0, 1), held(0, 1, "8"))["cpu"]["node_hours"] == 2.0
    assert by_partition(held(0, 1, None), held(0.5, 2, None))["local"]["node_hours"] == 2.0


def test_one_machine_is_paid_for_from_the_start_of_the_driver_in_each_run() -> None:
    first = held(1, 2, None, run="r1", run_start=0.5 * HOUR)
    other = held(3, 4, None, run="r1", run_start=0.5 * HOUR)
    later = held(50, 51, None, run="r2", run_start=49.5 * HOUR)

    # 0.5 to 4 with what lies between the cells, and 49.5 to 51; the days between the runs are free
    assert by_partition(first, other, later)["local"]["node_hours"] == 3.5 + 1.5


def test_the_driver_is_in_the_job_that_it_drives_from_and_in_no_other() -> None:
    asked = {"run": "r1", "run_start": 0.0}

    assert by_partition(held(1, 2, driving=True, **asked))["cpu"]["node_hours"] == 2.0
    assert by_partition(held(1, 2, **asked))["cpu"]["node_hours"] == 1.0


def test_a_lost_attempt_is_in_the_hours_and_is_told_apart() -> None:
    rows = by_partition(held(0, 1, "7", lost=True), held(5, 6, "8"))

    assert (rows["gpu"]["node_hours"], rows["gpu"]["lost_node_hours"]) == (4.0, 2.0)


def test_gpus_are_priced_where_nodes_are_not_and_unknown_ones_not_at_all() -> None:
    by_gpu = Prices("EUR", {}, {"gpu": 1.5})
    unknown = replace(held(0, 1), parts=(replace(GPU, gpus=None),))

    assert by_partition(held(0, 1), prices=by_gpu)["gpu"]["amount"] == pytest.approx(8 * 1.5)
    assert by_partition(held(0, 1), prices=by_gpu)["cpu"]["amount"] is None
    row = by_partition(unknown, prices=by_gpu)["gpu"]
    assert (row["gpu_hours"], row["amount"]) == (None, None)


def kpis(*rows: tuple[int, float, int], name: str) -> pd.DataFrame:
    """Give output tokens by step: step, mean, answers."""
    told = [
        {"cell": name, "step": s, "metric": "output_tokens", "stat": "mean", "value": v, "n": n}
        for s, v, n in rows
    ]
    return pd.DataFrame(told).assign(source="requests.parquet")


def capacity(name: str | None, qps: float | None, **changes: Any) -> dict[str, Any]:
    row = {"deployment": "demo", "cell": name, "slo_capacity_qps": qps, "slo_reason": "no SLO"}
    return {**row, "slo_ci_low": None, "slo_ci_high": None, **changes}


DEMO = cell(
    Step(),
    allocation={"launcher": "slurm", "service_nodes": ["n2", "n3"], "service_gpus": ["0"] * 4},
)


def served(
    row: dict[str, Any], prices: Prices = EURO, data: Any = DEMO, **more: Any
) -> list[dict[str, Any]]:
    holdings = [replace(held(0, 1), cell=data.name)]
    tokens = more.pop("tokens", kpis((1, 100.0, 30), (2, 200.0, 10), name=data.name))
    verdicts = {"gates": more.pop("gates", []), "capacity": [row]}
    return serving_rows(holdings, prices, kpis=tokens, cells=[data], verdicts=verdicts)


def test_prices_of_requests_and_tokens_by_node_and_by_gpu() -> None:
    rows = served(capacity(DEMO.name, 4.0, slo_ci_low=2.0, slo_ci_high=5.0))
    found = {(row["basis"], row["per"]): row for row in rows}

    # 2 nodes at 5 an hour serve 4 requests/s, 14,400 an hour: 10 / 14.4 a thousand
    node = found["node", "requests"]
    assert node["value"] == pytest.approx(10 / 14.4)
    # at 5 and at 2 requests/s
    assert (node["ci_low"], node["ci_high"]) == (pytest.approx(10 / 18), pytest.approx(10 / 7.2))
    # (30 × 100 + 10 × 200) / 40 = 125 tokens an answer: 1.8 million an hour
    assert found["node", "output_tokens"]["value"] == pytest.approx(10 / 1.8)
    # 8 GPUs at 1.5
    assert found["gpu", "requests"]["value"] == pytest.approx(12 / 14.4)
    assert found["gpu", "requests"]["inputs"]["count"] == 8


def test_a_side_of_the_capacity_that_nothing_bounds_bounds_no_price() -> None:
    row = served(capacity(DEMO.name, 4.0, slo_ci_high=5.0))[0]

    assert row["ci_high"] is None
    assert row["ci_low"] == pytest.approx(10 / 18)


def test_without_a_price_there_is_no_amount_and_one_reason() -> None:
    (row,) = served(capacity(DEMO.name, 4.0), Prices())

    assert row["value"] is None
    assert row["reason"].startswith("no price is given for partition gpu: write prices.node_hour")


def test_without_a_rate_or_nodes_there_is_no_price_whatever_an_hour_costs() -> None:
    (unheld,) = served(capacity(DEMO.name, None))
    assert unheld["reason"].endswith("is not known (no SLO)")

    elsewhere = cell(
        Step(), service={"external_url": "http://there"}, allocation={"launcher": "local"}
    )
    (external,) = served(capacity(elsewhere.name, 4.0), data=elsewhere)
    assert external["reason"].startswith("the nodes of the service are not known")


def test_answers_without_tokens_have_a_price_of_requests_alone() -> None:
    rows = served(capacity(DEMO.name, 4.0), tokens=kpis((1, math.nan, 0), name=DEMO.name))

    assert {row["per"] for row in rows} == {"requests"}


def test_tokens_of_invalid_steps_are_left_out() -> None:
    bad = {"cell": "a", "step": 2, "gate": "late_ratio", "outcome": "fail", "invalidates": True}

    assert tokens_per_request(kpis((1, 100.0, 30), (2, 900.0, 10), name="a"), [bad]) == 100.0


def test_repetitions_are_priced_together_where_they_have_a_capacity_together() -> None:
    verdicts = {"gates": [], "capacity": [capacity(DEMO.name, 4.0), capacity(None, 8.0)]}
    rows = serving_rows(
        [replace(held(0, 1), cell=DEMO.name)],
        EURO,
        kpis=kpis((1, 100.0, 1), name=DEMO.name),
        cells=[DEMO],
        verdicts=verdicts,
    )

    assert {row["cell"] for row in rows} == {None}


def test_the_whole_amount_needs_every_price_and_every_attempt() -> None:
    def amount(prices: Prices, untold: int = 0) -> float | None:
        empty: dict[str, list[Any]] = {"gates": [], "capacity": []}
        found = cost(
            [held(0, 1)], untold, prices, kpis=kpis((1, 1.0, 1), name="a"), cells=[], verdicts=empty
        )
        return found["amount"]

    assert amount(EURO) == 11.0
    assert amount(Prices("EUR", {"cpu": 1.0})) is None
    assert amount(EURO, untold=1) is None


spans = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0.01, 10), st.sampled_from([None, "1", "2"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=50, deadline=None)
@given(spans, st.randoms(use_true_random=False))
def test_hours_do_not_depend_on_order_and_lie_between_one_cell_and_the_whole_time(
    drawn: list[tuple[float, float, str | None]], shuffle: Any
) -> None:
    holdings = [held(start, start + length, job) for start, length, job in drawn]
    mixed = list(holdings)
    shuffle.shuffle(mixed)

    rows = by_partition(*holdings)
    again = by_partition(*mixed)
    whole = max(each.end for each in holdings) - min(each.start for each in holdings)

    for name, row in rows.items():
        assert row["node_hours"] == pytest.approx(again[name]["node_hours"])
        longest = max(
            part.nodes * (each.end - each.start) / HOUR
            for each in holdings
            for part in each.parts
            if part.partition == name
        )
        assert longest <= row["node_hours"] * (1 + 1e-9)
    if "local" in rows:
        assert rows["local"]["node_hours"] <= whole / HOUR * (1 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 1e4), st.floats(0.01, 100), st.floats(0.01, 1e3))
def test_a_price_lies_in_its_interval_and_is_in_proportion_to_that_of_an_hour(
    qps: float, price: float, factor: float
) -> None:
    row = capacity(DEMO.name, qps, slo_ci_low=qps / 2, slo_ci_high=qps * 2)
    once = served(row, Prices("EUR", {"gpu": price}))[0]
    more = served(row, Prices("EUR", {"gpu": price * factor}))[0]

    assert once["ci_low"] <= once["value"] <= once["ci_high"]
    assert more["value"] == pytest.approx(factor * once["value"])
