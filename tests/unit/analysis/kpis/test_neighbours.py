"""The share of the service's CPUs that other programs used: by hand, its bounds, and its holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import (
    APART,
    GOOD_CLIENT,
    NODE_TARGET,
    Request,
    Step,
    cell,
    scraped,
    up,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.measured.cell import CellData

SERVICE = "escalade_process_cpu_seconds_total"
NODE = "node_cpu_seconds_total"
SECONDS = [float(at) for at in range(-2, 13)]
GOOD = tuple(Request(0.1 * at, latency=0.05, sent=0.1 * at + 0.0002) for at in range(100))
TWO = {"client_cpus": [0], "service_cpus": [1, 2]}
SHARES = st.floats(0.0, 1.0)


def grows(metric: str, rate: float, times: Sequence[float] = SECONDS, **labels: str) -> Any:
    return scraped(metric, labels, {at: 50 + rate * at for at in times})


def cpu(number: int, **rates: float) -> list[Any]:
    return [
        row
        for mode, rate in rates.items()
        for row in grows(NODE, rate, cpu=str(number), mode=mode, **NODE_TARGET)
    ]


def data_of(*samples: Any, allocation: Mapping[str, Any] | None = None) -> CellData:
    rows = [*up(NODE_TARGET, SECONDS), *(row for part in samples for row in part)]
    return cell(Step(GOOD, client=GOOD_CLIENT, samples=rows), allocation=allocation)


def share_of(data: CellData) -> Any:
    return value_of(cell_kpis(data), "neighbour_cpu_ratio")


def gate_of(data: CellData) -> dict[str, Any]:
    rows = cell_gates(data, cell_kpis(data))
    return next(row for row in rows if row["gate"] == "neighbours")


def service(rate: float) -> Any:
    return grows(SERVICE, rate, role="service")


def test_what_the_service_did_not_use_of_its_cpus_was_used_by_neighbours() -> None:
    data = data_of(
        cpu(0, user=0.9),  # the client's: does not count
        cpu(1, user=0.6, system=0.2, idle=0.1, iowait=0.05, steal=0.05),
        cpu(2, user=0.5, softirq=0.1, idle=0.4),
        service(0.9),
        grows(SERVICE, 0.3, role="prometheus"),  # on the client's CPUs
        allocation=TWO,
    )

    assert share_of(data).value == pytest.approx((0.8 + 0.6 - 0.9) / 2)


def test_all_processes_of_the_service_count_as_the_service() -> None:
    parts = [
        grows(SERVICE, rate, role="service", step=name) for rate, name in ((0.3, "a"), (0.4, "b"))
    ]

    assert share_of(data_of(cpu(0, user=0.9), *parts, allocation=APART)).value == pytest.approx(0.2)


def test_scrapes_at_other_instants_than_the_nodes_do_not_matter() -> None:
    shifted = [at + 0.4 for at in SECONDS]
    own = grows(SERVICE, 0.7, shifted, role="service")

    assert share_of(data_of(cpu(0, user=0.7), own, allocation=APART)).value == pytest.approx(0.0)


def test_a_service_with_more_time_than_its_cpus_is_not_a_negative_neighbour() -> None:
    assert share_of(data_of(cpu(0, user=0.7), service(0.72), allocation=APART)).value == 0.0


@pytest.mark.parametrize(
    ("allocation", "why"),
    [
        (None, "the CPUs of service and client are not known"),
        ({"service_cpus": [0], "client_cpus": []}, "the CPUs of service and client are not known"),
        (
            {"service_cpus": [0], "client_cpus": [0]},
            "client and service share CPUs: neighbours can't be told apart",
        ),
        (
            {"service_cpus": [0, 5], "client_cpus": [1]},
            'the samples of node_cpu_seconds_total{cpu="5"} do not span the window',
        ),
    ],
)
def test_what_can_not_be_told_apart_is_missing_and_does_not_invalidate(
    allocation: Mapping[str, Any] | None, why: str
) -> None:
    data = data_of(cpu(0, user=0.9), service(0.1), allocation=allocation)

    assert share_of(data).quality == f"missing: {why}"
    gate = gate_of(data)
    assert (gate["outcome"], gate["invalidates"], gate["detail"]) == ("unknown", False, why)


def test_a_service_without_samples_is_missing_not_idle() -> None:
    row = share_of(data_of(cpu(0, user=0.9), allocation=APART))

    assert row.quality == (
        'missing: the samples of escalade_process_cpu_seconds_total{role="service"} '
        "do not span the window"
    )


@pytest.mark.parametrize("times", [[-1.0, 0.0, 1.0, 2.0], [5.0, 7.0, 9.0], [3.0]])
def test_samples_of_a_part_of_the_window_do_not_stand_for_all_of_it(times: list[float]) -> None:
    data = data_of(cpu(0, user=0.9), grows(SERVICE, 0.1, times, role="service"), allocation=APART)

    assert share_of(data).quality.startswith("missing: the samples of escalade_process")


def test_a_counter_that_restarts_counts_what_it_shows_since() -> None:
    # 0.5 a second to 4 s, then from zero: 2.0 + 0.5 (at 5 s) + 2.0 until 9 s, in 9 s
    levels = {at: 50 + 0.5 * at if at <= 4 else 0.5 * (at - 4) for at in SECONDS}
    data = data_of(
        cpu(0, user=0.9), scraped(SERVICE, {"role": "service"}, levels), allocation=APART
    )

    assert share_of(data).value == pytest.approx(0.9 - 4.5 / 9)


@pytest.mark.parametrize(
    ("own", "outcome"), [(0.65, "pass"), (0.56, "pass"), (0.54, "fail"), (0.1, "fail")]
)
def test_neighbours_may_use_a_tenth_of_the_services_cpus(own: float, outcome: str) -> None:
    gate = gate_of(data_of(cpu(0, user=0.65), service(own), allocation=APART))

    assert (gate["outcome"], gate["limit"], gate["unit"]) == (outcome, 0.10, "ratio")
    assert gate["invalidates"]
    assert gate["value"] == pytest.approx(0.65 - own)


def test_a_robbed_service_is_invalid_and_not_slow() -> None:
    slos = [Slo("fast", "latency_seconds", "p50", 0.001, at_qps=1.0)]
    data = data_of(cpu(0, user=0.65), service(0.1), allocation=APART)

    found = judge(cell_kpis(data, slos), [data], slos)

    said = "other programs used 55 % of the service's CPUs; at most 10 % may be"
    (verdict,) = found["slos"]
    assert (verdict["verdict"], verdict["reason"]) == ("INVALID", f"gate neighbours: {said}")
    (fit,) = found["capacity"]
    assert (fit["capacity_qps"], fit["steps_used"]) == (None, [])
    assert said in fit["reason"]


def test_shared_cpus_leave_verdicts_as_they_are() -> None:
    slos = [Slo("fast", "latency_seconds", "p50", 1.0, at_qps=1.0)]
    shared = {"client_cpus": [0], "service_cpus": [0]}
    data = data_of(cpu(0, user=0.9), service(0.1), allocation=shared)

    assert judge(cell_kpis(data, slos), [data], slos)["slos"][0]["verdict"] == "PASS"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=4))
def test_the_share_lies_between_nothing_and_all_and_is_what_neighbours_used(
    uses: list[tuple[float, float]],
) -> None:
    """Each CPU is used by the service, and by others in a part of what that leaves."""
    own = [mine for mine, _ in uses]
    others = [part * (1 - mine) for mine, part in uses]
    allocation = {"client_cpus": [0], "service_cpus": list(range(1, len(uses) + 1))}
    nodes = [
        cpu(number, user=mine + other, idle=1 - mine - other)
        for number, (mine, other) in enumerate(zip(own, others, strict=True), start=1)
    ]

    found = share_of(data_of(*nodes, service(sum(own)), allocation=allocation)).value

    assert 0 <= found <= 1 + 1e-9
    assert found == pytest.approx(sum(others) / len(uses), abs=1e-9)
