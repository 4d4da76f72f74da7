"""Bottlenecks: which resource is full at the knee, and when that can't be told."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.capacity.bottleneck import bottlenecks
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import APART, NODE_TARGET, Queue, cell, ladder, queue_step
from unit.analysis.campaigns import DEMAND, Made, fine
from unit.analysis.strained import KNEE, carried, idle, remote, slots_full, swap


def found(made: Made) -> dict[str, Any]:
    row: dict[str, Any] = made.verdicts["bottlenecks"][0]
    return row


def part(row: dict[str, Any], resource: str) -> dict[str, Any]:
    return next(each for each in row["ranking"] if each["resource"] == resource)


def test_a_cpu_that_fills_in_proportion_to_the_throughput_is_the_bottleneck() -> None:
    row = found(fine(1))

    # 0.19 CPU s × 10 requests/s = 1.9 of 2 cores at the knee; 0.38 of 2 at two requests/s
    assert (row["outcome"], row["resource"], row["step"]) == ("found", "service_cpu", KNEE)
    assert part(row, "service_cpu")["share"] == pytest.approx(0.95, abs=0.001)
    demands = [
        each["value"]
        for each in part(row, "service_cpu")["evidence"]
        if each["kpi"] == "demand per request"
    ]
    assert demands == [pytest.approx(DEMAND), pytest.approx(DEMAND)]
    assert row["ranking"][0]["resource"] == "service_cpu"


def test_every_piece_of_evidence_names_kpi_step_value_limit_and_source() -> None:
    row = found(fine(1))

    level = part(row, "service_cpu")["evidence"][0]
    assert (level["kpi"], level["step"], level["unit"]) == ("service_cpu_cores", KNEE, "cores")
    assert (level["value"], level["limit"]) == (pytest.approx(1.9), 2.0)
    assert level["source"] == "series.parquet"
    assert {each["speaks"] for each in part(row, "memory")["evidence"]} == {"against"}


def test_slots_that_are_full_while_the_cpu_is_idle_are_a_configured_limit() -> None:
    row = found(slots_full(idle(fine(1))))

    assert (row["outcome"], row["resource"]) == ("found", "slots")
    assert "a limit that is configured" in row["words"]
    assert part(row, "service_cpu")["outcome"] == "not full"


def test_slots_that_are_full_because_the_cpu_is_are_its_consequence() -> None:
    row = found(slots_full(fine(1)))

    assert row["resource"] == "service_cpu"
    assert "its consequence" in row["words"]
    assert part(row, "slots")["outcome"] == "full"


def test_a_missing_series_is_not_evidence_against_a_resource() -> None:
    row = found(slots_full(fine(1)).drop("service_cpu_cores"))

    assert (row["outcome"], row["resource"]) == ("unknown", None)
    assert "the CPU time of the service was not scraped" in row["words"]
    assert part(row, "service_cpu")["outcome"] == "unknown"


def test_a_cpu_that_spins_at_any_load_tells_nothing() -> None:
    row = found(slots_full(fine(1)).put("service_cpu_cores", 1.95, "mean"))

    assert row["outcome"] == "unknown"
    assert "busy at any load" in part(row, "service_cpu")["words"]


def test_a_full_cpu_without_a_lower_rung_to_compare_with_stays_unknown() -> None:
    row = found(fine(1, offered=(14.0, 16.0)))

    assert row["outcome"] == "unknown"
    assert "no lower rung" in row["words"]


def test_nothing_full_is_unknown_and_says_what_was_not_seen() -> None:
    row = found(idle(fine(1)))

    assert (row["outcome"], row["resource"]) == ("unknown", None)
    assert "nothing that was measured is full" in row["words"]
    assert "the KV cache" in row["words"]


def test_one_thread_of_a_service_with_several_cores_is_named() -> None:
    made = fine(1).put("service_cpu_cores", lambda step: 0.0995 * carried(step), "mean")
    made.put("service_cpu_cores", 1.01, "max")

    row = found(made)

    # 0.0995 CPU s × 10 requests/s = 0.995 of the one core that a thread can use, of two cores
    assert row["resource"] == "service_thread"
    assert part(row, "service_cpu")["outcome"] == "not full"


def test_a_service_that_used_more_than_a_core_at_times_has_several_threads() -> None:
    made = fine(1).put("service_cpu_cores", lambda step: 0.0995 * carried(step), "mean")
    made.put("service_cpu_cores", 1.6, "max")

    assert found(made)["outcome"] == "unknown"


def test_configured_threads_are_the_limit_where_they_are_fewer_than_the_cores() -> None:
    made = fine(1)
    made.environment["allocation"]["service_cpus"] = list(range(8))
    made.environment["service"]["parameters"]["threads"] = 2

    row = found(made)

    assert row["resource"] == "service_thread"
    assert "the parameter threads says" in row["words"]


def test_a_gpu_that_fills_with_the_load_is_the_bottleneck() -> None:
    made = idle(fine(1)).put(
        "gpu_utilization_ratio", lambda step: 0.097 * carried(step), "mean", label='{index="0"}'
    )
    made.environment["gpus"] = [{"index": 0}]

    assert found(made)["resource"] == "gpu"


def test_a_gpu_without_samples_leaves_full_slots_undecided() -> None:
    made = slots_full(idle(fine(1)))
    made.environment["gpus"] = [{"index": 0}]

    row = found(made)

    assert row["outcome"] == "unknown"
    assert "the utilisation of the GPU was not scraped" in row["words"]


def test_a_kv_cache_that_fills_is_the_bottleneck() -> None:
    made = idle(fine(1)).put("kv_cache_usage_ratio", lambda step: 0.099 * carried(step), "max")

    assert found(made)["resource"] == "kv_cache"


def test_the_number_of_slots_is_seen_where_it_is_not_configured() -> None:
    made = slots_full(idle(fine(1))).put("requests_running", 16.0, "max")
    made.environment["service"]["parameters"] = {}

    row = found(made)

    assert row["resource"] == "slots"
    assert "the most that it worked on while others waited" in row["words"]


def test_a_node_that_swaps_lacks_memory_whatever_its_cpus_do() -> None:
    row = found(swap(fine(1), 1e9))

    # 1 GB of 16 GB went to swap: 6 % where 1 % counts
    assert row["resource"] == "memory"
    growth = next(e for e in part(row, "memory")["evidence"] if e["stat"] == "growth")
    assert growth["value"] == pytest.approx(1 / 16)


def test_memory_that_is_nearly_full_slows_nothing_down_without_swap() -> None:
    made = swap(fine(1), 0.0).put("node_memory_used_bytes", 15.5e9, "max")

    row = found(made)

    assert row["resource"] == "service_cpu"
    assert part(row, "memory")["outcome"] == "not full"


def test_memory_is_held_against_the_limit_of_the_allocation_where_there_is_one() -> None:
    made = fine(1)
    made.environment["node"]["memory_limit_bytes"] = 2_200_000_000

    level = part(found(made), "memory")["evidence"][0]

    # 1.1 GB of 2.2 GB, not 2 GB of 16 GB
    assert (level["kpi"], level["value"], level["limit"]) == ("service_memory_bytes", 1.1e9, 2.2e9)


def test_a_link_that_fills_is_the_bottleneck_between_nodes() -> None:
    row = found(remote(idle(fine(1)), 125e6))

    # 12.4 MB × 10 requests/s = 124 of the 125 MB/s of a gigabit link
    assert row["resource"] == "network"
    assert part(row, "network")["share"] == pytest.approx(0.992, abs=0.001)


def test_a_link_of_unknown_speed_is_unknown_and_one_on_the_same_node_is_not_in_the_way() -> None:
    assert part(found(remote(fine(1), -1.0)), "network")["outcome"] == "unknown"
    assert part(found(fine(1)), "network")["outcome"] == "not in the way"


def test_two_resources_that_fill_together_can_not_be_told_apart() -> None:
    made = remote(fine(1).put("service_cpu_cores", lambda s: 0.196 * carried(s), "mean"), 125e6)

    row = found(made)

    assert row["outcome"] == "unknown"
    assert "were full together" in row["words"]


def test_a_disk_that_fills_is_the_bottleneck() -> None:
    made = idle(fine(1))
    for step in made.steps:
        for at in (0.0, 599.0):
            busy = 0.096 * carried(step) * at
            name = "node_disk_io_time_seconds_total"
            made.samples.append((step, name, {"device": "sda", **NODE_TARGET}, at, busy))

    assert found(made)["resource"] == "disk"


def test_the_client_is_named_where_it_gave_way_before_the_service() -> None:
    made = fine(1, offered=(2.0, 5.0, 8.0, 9.5, 9.8))
    made.fail("client_cpu", steps=[5], value=0.9, detail="the busiest process used 90 % of a core")

    row = found(made)

    assert (row["outcome"], row["resource"]) == ("found", "client")
    assert "90 % of a core" in row["words"]


def test_the_client_is_excluded_by_its_gates() -> None:
    client = part(found(fine(1)), "client")

    assert client["outcome"] == "not full"
    assert {"gate client_cpu", "gate late_ratio"} <= {each["kpi"] for each in client["evidence"]}


def test_a_ladder_that_never_saturates_has_no_bottleneck_but_a_fullest_resource() -> None:
    row = found(fine(1, offered=(2.0, 5.0, 8.0)))

    # 0.19 × 8 = 1.52 of 2 cores
    assert (row["outcome"], row["resource"]) == ("not reached", None)
    assert "the CPUs of the service (76.1 %)" in row["words"]


def test_a_closed_loop_has_no_ladder_to_look_at() -> None:
    made = fine(1).drop("offered_qps")

    assert found(made)["outcome"] == "not applicable"


def test_stolen_time_is_not_the_services_idleness() -> None:
    made = fine(1).put("service_cpu_cores", lambda step: 0.13 * carried(step), "mean")
    made.put("steal_ratio", 0.3)

    # 1.3 of 2 cores is 65 %, but only 70 % of the time was there: 93 %
    assert part(found(made), "service_cpu")["share"] == pytest.approx(0.65 / 0.7)


def test_a_simulated_queue_whose_core_is_busy_while_it_serves_is_bound_by_its_cpu() -> None:
    data = ladder([2.0, 5.0, 8.0, 15.0], seconds=60.0, queue=Queue(capacity=10.0))
    kpis = cell_kpis(data)

    (row,) = judge(kpis, [data], [])["bottlenecks"]

    assert (row["outcome"], row["resource"], row["step"]) == ("found", "service_cpu", 4)


def test_the_same_queue_with_an_idle_core_is_bound_by_its_one_slot() -> None:
    steps = [
        queue_step(rate, 60.0, seed=place, queue=Queue(10.0))
        for place, rate in enumerate([2.0, 5.0, 8.0, 15.0])
    ]
    described = {"recipe": "truth_server", "parameters": {"slots": 1}}
    data = cell(*steps, allocation=APART, service=described)
    service = data.series["metric"] == "escalade_process_cpu_seconds_total"
    busy = service | data.series["labels"].str.contains('"mode":"user"')
    data.series.loc[busy, "value"] *= 0.03

    (row,) = judge(cell_kpis(data), [data], [])["bottlenecks"]

    assert (row["outcome"], row["resource"]) == ("found", "slots")


def test_the_section_can_be_stored_as_json_and_is_the_same_each_time() -> None:
    data = ladder([4.0, 15.0], seconds=30.0)
    kpis = cell_kpis(data)
    first, second = (json.dumps(judge(kpis, [data], []), allow_nan=False) for _ in range(2))

    assert first == second


@settings(max_examples=25, deadline=None)
@given(
    demand=st.floats(0.01, 0.2),
    running=st.floats(0.0, 1.0),
    waiting=st.floats(0.0, 50.0),
)
def test_a_resource_is_named_only_when_it_was_full(
    demand: float, running: float, waiting: float
) -> None:
    made = fine(1).put("service_cpu_cores", lambda step: demand * carried(step), "mean")
    made.put("requests_running", 16 * running, "mean", steps=[KNEE])
    made.put("queue_length", waiting, "mean", steps=[KNEE])

    row = found(made)

    named = [each for each in row["ranking"] if each["resource"] == row["resource"]]
    assert row["outcome"] in ("found", "unknown")
    assert all(each["outcome"] == "full" and each["share"] >= 0.9 for each in named)
    if row["resource"] == "slots":
        assert part(row, "service_cpu")["share"] <= 0.8


def test_cells_without_any_step_have_a_row_too() -> None:
    data = cell()

    rows = bottlenecks(pd.DataFrame(columns=cell_kpis(ladder([1.0], 10.0)).columns), [data], [], [])

    assert [row["outcome"] for row in rows] == ["not applicable"]
    assert rows[0]["ranking"] == []
