"""KPIs of the samples, by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.kpis.table import cell_kpis, summary
from unit.analysis.builders import (
    AGREEMENT,
    NODE_TARGET,
    SERVICE_TARGET,
    Request,
    Step,
    cell,
    scraped,
    up,
    value_of,
)

if TYPE_CHECKING:
    import pandas as pd

CPU = "escalade_process_cpu_seconds_total"
SECONDS = [float(at) for at in range(-2, 13)]


def kpis_of(
    *samples: Any, requests: tuple[Request, ...] = (Request(1.0), Request(2.0)), **environment: Any
) -> pd.DataFrame:
    rows = [row for part in samples for row in part]
    return cell_kpis(cell(Step(requests, samples=rows), **environment))


def linear(metric: str, rate: float, **labels: str) -> Any:
    """Give a counter that grows by `rate` a second."""
    return scraped(metric, labels, {at: 50 + rate * at for at in SECONDS})


def test_cpu_of_the_service_is_its_own_process_tree() -> None:
    kpis = kpis_of(
        linear(CPU, 1.5, role="service"),
        linear(CPU, 0.05, role="prometheus"),
    )

    assert value_of(kpis, "service_cpu_cores", "mean").value == pytest.approx(1.5)
    assert value_of(kpis, "service_cpu_cores", "max").value == pytest.approx(1.5)
    assert value_of(kpis, "prometheus_cpu_cores", "mean").value == pytest.approx(0.05)


def test_several_processes_of_the_service_add_up() -> None:
    kpis = kpis_of(
        linear(CPU, 1.5, role="service", step="a"), linear(CPU, 0.5, role="service", step="b")
    )

    assert value_of(kpis, "service_cpu_cores", "mean").value == pytest.approx(2.0)


def test_memory_is_the_largest_sample() -> None:
    memory = scraped(
        "escalade_process_resident_memory_bytes",
        {"role": "service"},
        {0.0: 1e8, 1.0: 3e8, 2.0: 2e8},
    )

    assert value_of(kpis_of(memory), "service_memory_bytes", "max").value == 3e8


@pytest.mark.parametrize("canonical", ["queue_length", "requests_waiting"])
def test_the_queue_is_found_under_the_recipes_name(canonical: str) -> None:
    waiting = scraped("svc:deferred", {}, {0.0: 2, 1.0: 4, 2.0: 0})
    kpis = kpis_of(waiting, metric_names={canonical: "svc:deferred"})

    # 2 for 1 s, 4 for 1 s, 0 for the 3 s that a sample lasts
    assert value_of(kpis, "queue_length", "mean").value == pytest.approx(6 / 5)
    assert value_of(kpis, "queue_length", "max").value == 4


def test_server_side_rates_come_from_counters() -> None:
    kpis = kpis_of(
        linear("tokens", 40.0, model="a"),
        linear("prompt", 320.0),
        linear("calls", 5.0),
        metric_names={
            "output_tokens_total": "tokens",
            "input_tokens_total": "prompt",
            "requests_total": "calls",
        },
    )

    assert value_of(kpis, "server_output_tokens_per_second").value == pytest.approx(40.0)
    assert value_of(kpis, "server_input_tokens_per_second").value == pytest.approx(320.0)
    assert value_of(kpis, "server_requests_per_second").value == pytest.approx(5.0)


def test_a_name_that_the_recipe_lacks_is_said() -> None:
    kpis = kpis_of(metric_names={})

    assert (
        value_of(kpis, "queue_length", "mean").quality
        == "missing: the recipe names no queue_length or requests_waiting"
    )
    assert (
        value_of(kpis, "server_requests_per_second").quality
        == "missing: the recipe names no requests_total"
    )


def test_a_series_that_was_not_scraped_is_missing_not_zero() -> None:
    kpis = kpis_of(up(NODE_TARGET, SECONDS))

    for metric, stat in (
        ("service_cpu_cores", "mean"),
        ("service_memory_bytes", "max"),
        ("queue_length", "mean"),
        ("node_cpu_ratio", "mean"),
        ("node_memory_used_bytes", "max"),
        ("server_output_tokens_per_second", "value"),
        ("steal_ratio", "value"),
    ):
        row = value_of(kpis, metric, stat)
        assert math.isnan(row.value), metric
        assert row.quality.startswith("missing: "), metric


def node_cpu(**rates: float) -> list[Any]:
    return [
        row
        for mode, rate in rates.items()
        for row in linear("node_cpu_seconds_total", rate, cpu="0", mode=mode)
    ]


def test_cpu_of_the_node_leaves_out_idle_waiting_and_steal() -> None:
    kpis = kpis_of(node_cpu(user=0.3, system=0.1, idle=0.4, iowait=0.1, steal=0.1))

    assert value_of(kpis, "node_cpu_ratio", "mean").value == pytest.approx(0.4)
    assert value_of(kpis, "node_cpu_ratio", "max").value == pytest.approx(0.4)
    assert value_of(kpis, "steal_ratio").value == pytest.approx(0.1)


def test_memory_of_the_node_is_what_is_not_available() -> None:
    kpis = kpis_of(
        scraped("node_memory_MemTotal_bytes", NODE_TARGET, dict.fromkeys(SECONDS, 8e9)),
        scraped(
            "node_memory_MemAvailable_bytes", NODE_TARGET, {at: 6e9 - 1e8 * at for at in SECONDS}
        ),
    )

    assert value_of(kpis, "node_memory_used_bytes", "max").value == pytest.approx(2.9e9)


def test_every_target_has_its_own_coverage() -> None:
    kpis = kpis_of(up(NODE_TARGET, SECONDS), up(SERVICE_TARGET, SECONDS[:8]))

    rows = kpis[kpis["metric"] == "scrape_coverage_ratio"].set_index("source")["value"]
    assert rows['series.parquet{instance="127.0.0.1:9100",job="node"}'] == 1.0
    assert rows['series.parquet{instance="127.0.0.1:8000",job="service"}'] == pytest.approx(0.6)
    gaps = kpis[kpis["metric"] == "scrape_gap_seconds"].set_index("source")["value"]
    assert gaps['series.parquet{instance="127.0.0.1:8000",job="service"}'] == pytest.approx(5.0)


def test_a_machine_without_gpu_has_one_row_that_says_so() -> None:
    kpis = kpis_of(gpu_note="no GPU: no driver")

    rows = kpis[kpis["metric"].str.startswith("gpu_")]
    assert rows[["metric", "quality"]].to_numpy().tolist() == [
        ["gpu_utilization_ratio", "missing: no GPU: no driver"]
    ]


def test_every_gpu_has_its_own_rows() -> None:
    busy = [
        row
        for index, value in ((0, 0.2), (1, 0.6))
        for row in scraped(
            "escalade_gpu_utilization_ratio",
            {"gpu": str(index), "uuid": f"GPU-{index}", "name": "H100"},
            dict.fromkeys(SECONDS, value),
        )
    ]
    kpis = kpis_of(busy, gpus=[{"index": 0}, {"index": 1}])

    rows = kpis[(kpis["metric"] == "gpu_utilization_ratio") & (kpis["stat"] == "mean")]
    assert rows["value"].tolist() == pytest.approx([0.2, 0.6])
    assert value_of(kpis, "gpu_power_watts", "mean").quality.startswith("missing: no sample of")
    assert summary(kpis)["gpu_utilization_ratio"].tolist() == pytest.approx([0.4])


def test_memory_and_power_of_a_gpu_by_hand() -> None:
    gpu = {"gpu": "0", "uuid": "GPU-0", "name": "H100"}
    # the board draws 200 W in one half of its samples and 400 W in the other
    power = {at: 200.0 if at < 5 else 400.0 for at in SECONDS if 0 <= at < 10}
    kpis = kpis_of(
        scraped("escalade_gpu_memory_used_bytes", gpu, {0.0: 2e9, 4.0: 5e9, 9.0: 3e9}),
        scraped("escalade_gpu_power_watts", gpu, power),
        gpus=[{"index": 0}],
    )

    assert value_of(kpis, "gpu_memory_used_bytes", "max").value == 5e9
    assert value_of(kpis, "gpu_power_watts", "mean").value == pytest.approx(300.0)


TOKENS = "service_tokens_total"
FIVE = tuple(Request(float(at), latency=0.5, chunks=(0.1, 0.2, 0.3, 0.4)) for at in range(5))


def test_client_and_server_agree_from_idle_to_idle() -> None:
    # 5 answers of 4 tokens; the counter already stood at 100
    tokens = scraped(TOKENS, {}, {-1.0: 100, 0.7: 104, 2.7: 112, 6.0: 120})
    row = value_of(
        kpis_of(tokens, requests=FIVE, agreement=AGREEMENT), "client_server_agreement_ratio"
    )

    assert (row.value, row.ci_low, row.ci_high) == (1.0, 1.0, 1.0)


def test_a_counter_born_with_its_first_event_counts_from_zero() -> None:
    tokens = scraped(TOKENS, SERVICE_TARGET, {0.7: 4, 2.7: 12, 6.0: 20})
    row = value_of(
        kpis_of(tokens, up(SERVICE_TARGET, SECONDS), requests=FIVE, agreement=AGREEMENT),
        "client_server_agreement_ratio",
    )

    assert row.value == 1.0


def test_without_idle_samples_the_requests_under_way_are_left_open() -> None:
    # first sample at 0.7 s: the first answer (4 tokens) was before it, so 16 of 20 are sure
    tokens = scraped(TOKENS, {}, {0.7: 104, 2.7: 112, 6.0: 120})
    row = value_of(
        kpis_of(tokens, requests=FIVE, agreement=AGREEMENT), "client_server_agreement_ratio"
    )

    assert row.value == pytest.approx(20 / 16)
    assert row.ci_low == pytest.approx(1.0)


def test_failed_requests_may_have_been_counted_by_the_server() -> None:
    requests = (*FIVE, Request(5.0, latency=0.2, error="timeout"))
    tokens = scraped(TOKENS, {}, {-1.0: 100, 7.0: 122})
    row = value_of(
        kpis_of(tokens, requests=requests, agreement=AGREEMENT), "client_server_agreement_ratio"
    )

    assert row.value == pytest.approx(20 / 22)
    assert row.ci_high == pytest.approx(24 / 22)


def test_requests_can_be_compared_too() -> None:
    calls = scraped("calls_total", {"code": "200"}, {-1.0: 7, 7.0: 12})
    agreement = {"quantity": "requests", "metric": "calls_total"}
    row = value_of(
        kpis_of(calls, requests=FIVE, agreement=agreement), "client_server_agreement_ratio"
    )

    assert row.value == 1.0


@pytest.mark.parametrize(
    ("agreement", "why"),
    [
        (None, "the recipe declares no quantity to compare"),
        (AGREEMENT, "fewer than two samples of service_tokens_total around the step"),
    ],
)
def test_what_can_not_be_compared_says_why(agreement: Any, why: str) -> None:
    row = value_of(kpis_of(requests=FIVE, agreement=agreement), "client_server_agreement_ratio")

    assert row.quality == f"missing: {why}"


def test_the_start_of_the_service_belongs_to_the_whole_cell() -> None:
    models = [
        {"name": "small", "declared_bytes": 100, "measured_bytes": 120},
        {"name": "large", "declared_bytes": 900, "measured_bytes": None},
    ]
    kpis = kpis_of(service={"ready_seconds": 0.9, "models": models})

    assert value_of(kpis, "ready_seconds", step=0).value == 0.9
    declared = kpis[kpis["metric"] == "model_memory_declared_bytes"]
    assert sorted(declared["value"]) == [100, 900]
    measured = kpis[kpis["metric"] == "model_memory_measured_bytes"].set_index("source")
    assert measured.loc['environment.json{model="small"}', "value"] == 120
    assert (
        measured.loc['environment.json{model="large"}', "quality"]
        == "missing: measured_bytes of the model is not known"
    )


def test_a_service_that_loads_no_model_has_no_row_of_its_memory() -> None:
    kpis = kpis_of(service={"ready_seconds": 0.9, "models": []})

    assert value_of(kpis, "ready_seconds", step=0).value == 0.9
    assert not kpis["metric"].str.startswith("model_memory").any()


def test_a_service_that_never_became_ready_has_no_start() -> None:
    kpis = kpis_of(service=None)

    assert (
        value_of(kpis, "ready_seconds", step=0).quality
        == "missing: the service was not described: it never became ready"
    )
