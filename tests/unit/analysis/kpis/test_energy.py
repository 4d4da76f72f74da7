"""Energy from counters: gross, net of idle, and what is not known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.kpis.energy import GPU_POWER, RAPL, energy_rows, idle_of
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.stats.sampled import METHOD
from unit.analysis.builders import Request, Step, cell, scraped, value_of

PACKAGE = "node_rapl_package_joules_total"
DRAM = "node_rapl_dram_joules_total"
BOARD = "escalade_gpu_energy_joules_total"
SECONDS = [float(at) for at in range(-7, 44)]
"""From two seconds before the step's start to two after its drain, at 40 s."""
ANSWERS = tuple(Request(at + 0.1, 0.5, chunks=(0.1, 0.2, 0.3, 0.4)) for at in range(10))
"""One answer of four tokens a second, in a window of ten seconds."""


def joules(metric: str, idle: float, busy: float, **labels: str) -> Any:
    """Give a counter that grows by `busy` W from the step's start to its drain, and by `idle` W beside."""

    def level(at: float) -> float:
        inside = min(max(at, -5.0), 40.0) + 5.0
        return 100 + busy * inside + idle * (at + 7.0 - inside)

    return scraped(metric, labels, {at: level(at) for at in SECONDS})


def measured(*samples: Any, **environment: Any) -> Any:
    rows = [row for part in samples for row in part]
    return cell(Step(ANSWERS, samples=rows, drain=30.0), **environment)


def figure(data: Any, metric: str, stat: str = "value") -> Any:
    return value_of(cell_kpis(data), metric, stat)


def test_energy_per_request_and_per_token_gross_and_net() -> None:
    kpis = cell_kpis(measured(joules(PACKAGE, 20.0, 50.0, index="0")))

    assert value_of(kpis, "power_watts", "mean").value == pytest.approx(50.0)
    # 50 W by one request a second, and by four tokens a second
    assert value_of(kpis, "energy_joules_per_request", "gross").value == pytest.approx(50.0)
    assert value_of(kpis, "energy_joules_per_token", "gross").value == pytest.approx(12.5)
    # 20 W of it without any request
    assert value_of(kpis, "energy_joules_per_request", "net").value == pytest.approx(30.0)
    assert value_of(kpis, "energy_joules_per_token", "net").value == pytest.approx(7.5)
    idle = kpis[kpis["metric"] == "idle_power_watts"]
    assert idle["value"].tolist() == [pytest.approx(20.0)]
    assert idle["step"].tolist() == [0]


def test_scopes_stand_side_by_side_with_their_methods_and_never_add_up() -> None:
    kpis = cell_kpis(
        measured(joules(PACKAGE, 20.0, 50.0, index="0"), joules(DRAM, 2.0, 3.0, index="0"))
    )
    rows = kpis[kpis["metric"] == "power_watts"]

    assert sorted(rows["value"]) == [pytest.approx(3.0), pytest.approx(50.0)]
    assert all(f'method="{RAPL}"' in source for source in rows["source"])
    assert {'scope="package"' in source for source in rows["source"]} == {True, False}


def test_several_packages_are_one_scope() -> None:
    data = measured(joules(PACKAGE, 5.0, 50.0, index="0"), joules(PACKAGE, 5.0, 30.0, index="1"))

    assert figure(data, "power_watts", "mean").value == pytest.approx(80.0)


def test_of_two_nodes_the_clients_does_not_count() -> None:
    data = measured(
        joules(PACKAGE, 5.0, 50.0, place="service"), joules(PACKAGE, 5.0, 200.0, place="client")
    )

    assert figure(data, "power_watts", "mean").value == pytest.approx(50.0)


def test_idle_power_is_that_of_the_pause_with_the_least() -> None:
    # 90 W before the first step, as when a client starts; 20 W after the last one
    levels = {at: 90 * (at + 7) if at <= -5 else 180 + 50 * (at + 5) for at in SECONDS if at <= 40}
    levels |= {at: 180 + 50 * 45 + 20 * (at - 40) for at in SECONDS if at > 40}
    data = measured(scraped(PACKAGE, {}, levels))

    idle = idle_of(data)["package"]

    assert (idle.watts, idle.words) == (pytest.approx(20.0), "after the last step")


def test_without_a_pause_there_is_no_net_energy_but_a_reason() -> None:
    inside = {at: 50 * at for at in SECONDS if -4 <= at <= 39}
    data = measured(scraped(PACKAGE, {}, inside))

    net = figure(data, "energy_joules_per_request", "net")

    assert math.isnan(net.value)
    assert net.quality.startswith("missing: no pause of the cell has two samples")
    assert figure(data, "energy_joules_per_request", "gross").value == pytest.approx(50.0)


def test_a_hole_of_over_three_seconds_makes_power_invalid() -> None:
    holed = {at: 50 * at for at in SECONDS if not 2 < at < 7}
    data = measured(scraped(PACKAGE, {}, holed))

    for metric, stat in (("power_watts", "mean"), ("energy_joules_per_token", "gross")):
        found = figure(data, metric, stat)
        assert math.isnan(found.value)
        assert found.quality == "missing: power invalid: 5 s without a sample"


@pytest.mark.parametrize(("power", "quality"), [(103.0, "ok"), (120.0, "flagged: power invalid")])
def test_a_counter_is_held_against_the_integral_of_power(power: float, quality: str) -> None:
    gpu = {"gpu": "0", "uuid": "GPU-1"}
    gauge = scraped(GPU_POWER, gpu, dict.fromkeys(SECONDS, power))
    data = measured(joules(BOARD, 40.0, 100.0, **gpu), gauge, gpus=[{"index": 0}])

    found = figure(data, "energy_joules_per_request", "gross")

    assert found.value == pytest.approx(100.0)
    assert found.quality.startswith(quality)


def test_a_gpu_without_a_counter_has_its_power_integrated() -> None:
    gauge = scraped(GPU_POWER, {"gpu": "0"}, {at: 60.0 if at < -5 else 80.0 for at in SECONDS})
    data = measured(gauge, gpus=[{"index": 0}])

    assert figure(data, "energy_joules_per_request", "gross").value == pytest.approx(80.0)
    (row,) = [row for row in energy_rows([data]) if row["scope"] == "gpu"]
    assert row["method"] == "NVML power, integrated over time"


def test_a_load_generator_on_the_same_package_is_said() -> None:
    data = measured(joules(PACKAGE, 20.0, 50.0), allocation={"launcher": "local"})

    assert "the load generator and the monitoring are on the same node" in (
        figure(data, "power_watts", "mean").quality
    )


def test_where_nothing_measures_there_is_no_row_but_a_reason_per_scope() -> None:
    data = measured(gpu_note="no GPU: NVML is not there")

    assert not cell_kpis(data)["metric"].str.contains("joules|power_watts").any()
    rows = {row["scope"]: row for row in energy_rows([data])}
    assert [row["method"] for row in rows.values()] == [None] * 4
    assert rows["gpu"]["words"] == "no GPU: NVML is not there"
    assert "chmod" in rows["package"]["words"]


@settings(max_examples=30, deadline=None)
@given(st.floats(1.0, 500.0), st.floats(0.0, 1.0))
def test_net_is_gross_without_idle_and_both_follow_the_power(busy: float, share: float) -> None:
    kpis = cell_kpis(measured(joules(PACKAGE, busy * share, busy)))
    gross, net = (value_of(kpis, "energy_joules_per_request", s).value for s in ("gross", "net"))

    assert gross == pytest.approx(busy, rel=1e-6)
    assert net == pytest.approx(busy * (1 - share), rel=1e-6, abs=1e-6)


LONG = 42
"""Scrapes of the long step below: a window of 40 s."""


def swinging(answers: int, **more: Any) -> Any:
    """Give a cell whose package draws 40 and 60 W by turns, with `answers` good answers a second."""
    watts = [40.0, 60.0] * LONG
    joules = {float(at): sum(watts[: at + 10]) for at in range(-10, LONG)}
    requests = tuple(
        Request(second + (place + 0.5) / answers, 0.0, chunks=(0.0,))
        for second in range(40)
        for place in range(answers)
    )
    samples = scraped(PACKAGE, {}, joules)
    return cell(Step(requests, seconds=40.0, samples=samples, drain=0.0), **more)


def test_energy_per_request_has_the_interval_of_joules_and_answers_of_the_same_scrapes() -> None:
    # 39 intervals end before 40 s; 40, 60, 40 … W and two answers in each: 20, 30, 20 … J apiece
    found = figure(swinging(2), "energy_joules_per_request", "gross")

    apiece = np.array([20.0, 30.0] * 20)[:39]
    low, high = stats.t.interval(0.95, 38, found.value, stats.sem(apiece))
    assert (found.n, found.n_eff, found.ci_method) == (39, 39.0, METHOD)
    assert found.ci_low == pytest.approx(low)
    assert found.ci_high == pytest.approx(
        found.value * math.exp((high - found.value) / found.value)
    )


def test_answers_that_cost_alike_have_no_spread_and_no_interval() -> None:
    # as many joules per answer in each scrape interval: nothing tells how far it varies
    found = figure(measured(joules(PACKAGE, 20.0, 50.0)), "energy_joules_per_request", "gross")

    assert math.isnan(found.ci_low)
    assert found.ci_method.startswith("not estimable: ")


def test_net_energy_names_the_idle_power_that_it_takes_as_read() -> None:
    # idle 0 W after the drain, so that net has the same value and interval as gross
    data = swinging(2)
    gross = figure(data, "energy_joules_per_request", "gross")
    net = figure(data, "energy_joules_per_request", "net")

    assert not math.isnan(gross.ci_low)
    assert net.ci_method.endswith(", idle power as read")
    assert net.ci_high - net.ci_low == pytest.approx(gross.ci_high - gross.ci_low, rel=0.5)


def test_net_energy_that_is_not_above_idle_has_no_interval() -> None:
    net = figure(measured(joules(PACKAGE, 60.0, 50.0)), "energy_joules_per_request", "net")

    assert net.value == pytest.approx(-10.0)
    assert net.ci_method == "not estimable: no more than what it draws when idle"
