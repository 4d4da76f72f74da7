"""Figures of a service with several copies, by hand: added up or averaged, and never from one copy alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.bounds.rows import bound_rows
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.scenarios.recovery import recovery_rows
from unit.analysis.builders import (
    AGREEMENT,
    EPOCH,
    GOOD_CLIENT,
    Request,
    Step,
    cell,
    scraped,
    up,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData

SECONDS = [float(at) for at in range(-2, 13)]
NAMES = {
    "queue_length": "waiting",
    "kv_cache_usage_ratio": "cache",
    "output_tokens_total": "tokens_total",
}


def copied(data: CellData, replicas: int = 2, **deployed: Any) -> CellData:
    """Say in a cell's definition that its service has copies."""
    deployment = {"recipe": "own", **deployed} | ({"replicas": replicas} if replicas > 1 else {})
    return replace(data, cell={**data.cell, "definition": {"deployment": deployment}})


def of(number: int) -> dict[str, str]:
    return {"instance": f"127.0.0.1:800{number}", "job": "service", "replica": str(number)}


def pages(*numbers: int) -> list[Any]:
    return [sample for number in numbers for sample in up(of(number), SECONDS)]


def kpis_of(*samples: Any, **environment: Any) -> pd.DataFrame:
    rows = [row for part in samples for row in part]
    step = Step((Request(1.0), Request(2.0)), samples=rows)
    return cell_kpis(copied(cell(step, metric_names=NAMES, **environment)))


def level(metric: str, number: int, values: dict[float, float]) -> list[Any]:
    return scraped(metric, of(number), values)


def steady(value: float, until: float = 10.0) -> dict[float, float]:
    return {at: value for at in SECONDS if at <= until}


def test_queues_of_the_copies_add_up() -> None:
    kpis = kpis_of(pages(1, 2), level("waiting", 1, steady(3.0)), level("waiting", 2, steady(1.0)))

    assert value_of(kpis, "queue_length", "mean").value == pytest.approx(4.0)
    assert value_of(kpis, "queue_length", "max").value == 4.0


def test_a_copy_that_dies_in_the_window_counts_with_what_it_told() -> None:
    kpis = kpis_of(
        pages(1),
        up(of(2), [at for at in SECONDS if at < 4]),
        level("waiting", 1, steady(3.0)),
        level("waiting", 2, steady(2.0, until=3.0)),
    )

    # 3 over the window and 2 for as long as it was seen: 5 at once, though for a while only
    assert value_of(kpis, "queue_length", "mean").value == pytest.approx(5.0)
    assert value_of(kpis, "queue_length", "max").value == 5.0


def test_shares_are_averaged_and_the_fullest_copy_is_the_maximum() -> None:
    kpis = kpis_of(pages(1, 2), level("cache", 1, steady(0.9)), level("cache", 2, steady(0.3)))

    assert value_of(kpis, "kv_cache_usage_ratio", "mean").value == pytest.approx(0.6)
    assert value_of(kpis, "kv_cache_usage_ratio", "max").value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("metric", "stat"),
    [("queue_length", "mean"), ("server_output_tokens_per_second", "value")],
)
def test_what_one_copy_does_not_tell_is_missing_and_not_zero(metric: str, stat: str) -> None:
    counter = {at: 10 * (at + 2) for at in SECONDS}
    kpis = kpis_of(pages(1), level("waiting", 1, steady(3.0)), level("tokens_total", 1, counter))

    row = value_of(kpis, metric, stat)

    assert row.isna()["value"]
    assert "replica 2 was scraped 0 times in the window" in row["quality"]


def test_a_copy_without_a_request_has_no_counter_yet_and_adds_nothing() -> None:
    counter = {at: 10 * (at + 2) for at in SECONDS}
    kpis = kpis_of(pages(1, 2), level("tokens_total", 1, counter))

    assert value_of(kpis, "server_output_tokens_per_second").value == pytest.approx(10.0)


def test_client_and_server_are_compared_over_all_copies_or_not_at_all() -> None:
    counts = {at: 0.0 if at < 3 else 5.0 for at in SECONDS}
    requests = [Request(1.0, output_tokens=5), Request(2.0, output_tokens=5)]

    def ratio(*numbers: int) -> Any:
        told = [sample for number in numbers for sample in level("tokens_total", number, counts)]
        step = Step(requests, samples=[*pages(*numbers), *told], drain=2.0)
        agreement = {**AGREEMENT, "metric": "tokens_total"}
        data = copied(cell(step, metric_names=NAMES, agreement=agreement))
        return value_of(cell_kpis(data), "client_server_agreement_ratio")

    # each copy told of 5 of the 10 tokens
    assert ratio(1, 2).value == pytest.approx(1.0)
    assert "replica 2 was scraped 0 times" in ratio(1)["quality"]


def test_processes_of_all_copies_are_needed() -> None:
    def cpu(number: int) -> list[Any]:
        labels = {"role": "service", "step": f"service-{number}"}
        return scraped("escalade_process_cpu_seconds_total", labels, {at: at + 9 for at in SECONDS})

    assert value_of(kpis_of(cpu(1), cpu(2)), "service_cpu_cores", "mean").value == pytest.approx(2)
    alone = value_of(kpis_of(cpu(1)), "service_cpu_cores", "mean")
    assert "processes of replica 2 have no sample" in alone["quality"]


def capacity(deployment: str, qps: float) -> dict[str, Any]:
    return {"deployment": deployment, "cell": "c", "capacity_qps": qps, "ci_low": None}


def scaling(*cells: CellData) -> list[dict[str, Any]]:
    rows = [capacity("one", 10.0), capacity("two", 18.0)]
    kpis = cell_kpis(cells[0])
    return [row for row in bound_rows(kpis, cells, [], rows, {}) if row["cell"] is None]


def test_copies_of_a_deployment_are_held_against_as_many_times_one() -> None:
    one = copied(cell(deployment="one"), 1, parameters={"slots": 2})
    two = copied(cell(deployment="two"), 2, parameters={"slots": 2}, failover=True)

    (row,) = scaling(one, two)

    assert (row["value"], row["attained"], row["kind"]) == (20.0, 18.0, "ideal scaling")
    assert row["words"] == (
        "capacity of 2 replicas: 18 requests/s, 90 % of the ideal scaling of 20 requests/s"
    )


def test_deployments_that_differ_in_more_than_their_number_have_no_ideal_scaling() -> None:
    one = copied(cell(deployment="one"), 1, parameters={"slots": 2})
    two = copied(cell(deployment="two"), 2, parameters={"slots": 4})

    assert scaling(one, two) == []


def test_set_times_allow_as_many_requests_as_there_are_copies() -> None:
    declared = {"recipe": {"configured": {"slots": 2, "request_seconds": 0.1}}}
    requests = [Request(float(at), latency=0.1) for at in range(10)]
    data = replace(copied(cell(Step(requests, client=GOOD_CLIENT)), 3), bounds=declared)

    (row,) = [each for each in bound_rows(cell_kpis(data), [data], [], [], {}) if each["step"] == 1]

    assert row["value"] == pytest.approx(3 * 2 / 0.1)


START = EPOCH + 5.0


def killed(requests: Sequence[Request], replica: Sequence[int], number: int = 1) -> dict[str, Any]:
    """Kill copy `number` of two 10 s into the window; give the row."""
    told = {"killed_at": START + 10, "restarted_at": START + 12, "replica": number}
    step = Step(requests, seconds=30.0, client=GOOD_CLIENT, load={"failure": told})
    data = copied(cell(step))
    data = replace(data, requests=data.requests.assign(replica=list(replica)))
    (row,) = recovery_rows([data], [])
    return row


def test_the_other_copy_holds_its_half_until_the_dead_one_is_back() -> None:
    # a request a second, in turn from copy 1 on; copy 1 is away from 10 to 15
    requests = [
        Request(float(at), 0.01, error="connect")
        if at % 2 == 0 and 10 <= at < 15
        else Request(float(at), 0.2)
        for at in range(30)
    ]

    row = killed(requests, [1 + at % 2 for at in range(30)])

    # 10 to 16 are planned until 16 is answered at 16.2; 10, 12 and 14 are lost: 4 of 7 held
    assert (row["replica"], row["replicas"], row["status"]) == (1, 2, "recovered")
    assert row["back_seconds"] == pytest.approx(6.2)
    assert (row["meanwhile"], row["lost"]) == (7, 3)
    assert row["held_ratio"] == pytest.approx(4 / 7)
    assert row["first_answer_seconds"] == pytest.approx(1.2)
    assert (
        "replica 1 of 2 was killed, and 57.1 % of the 7 requests planned until it" in row["words"]
    )


def test_with_failover_nothing_is_lost_and_the_copy_is_back_later() -> None:
    requests = [Request(float(at), 0.2) for at in range(30)]
    # turned to copy 2 while copy 1 was away
    replica = [2 if 10 <= at < 15 else 1 + at % 2 for at in range(30)]

    row = killed(requests, replica)

    assert (row["status"], row["lost"], row["recover_seconds"]) == ("nothing lost", 0, None)
    assert row["back_seconds"] == pytest.approx(6.2)  # 16 is answered at 16.2
    assert row["held_ratio"] == 1.0


def test_a_copy_that_stays_away_is_missed_to_the_end_of_the_window() -> None:
    requests = [
        Request(float(at), 0.01, error="connect") if at % 2 and at > 10 else Request(float(at), 0.2)
        for at in range(30)
    ]

    row = killed(requests, [1 + at % 2 for at in range(30)], number=2)

    # of 10 … 29 the ten odd ones are lost
    assert (row["back_seconds"], row["meanwhile"], row["held_ratio"]) == (None, 20, 0.5)
    assert "planned to the end of the window" in row["words"]


def test_a_service_without_copies_says_nothing_of_others() -> None:
    told = {"killed_at": START + 10, "restarted_at": None}
    step = Step([Request(1.0)], seconds=30.0, client=GOOD_CLIENT, load={"failure": told})

    (row,) = recovery_rows([cell(step)], [])

    assert (row["replicas"], row["replica"], row["held_ratio"]) == (1, None, None)
