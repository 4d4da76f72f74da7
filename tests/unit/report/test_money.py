"""Cost, energy and headroom as a reader meets them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from escalade.analysis.kpis.energy import ABSENT
from escalade.report.charts.energy import energy_charts
from escalade.report.page import content_of
from escalade.report.sections.cost import cost_view, hours_sentence
from escalade.report.sections.energy import energy_sentence, energy_view
from escalade.report.sections.headroom import headroom_groups
from escalade.report.tables import kpi_tables
from escalade.report.twin.content import twin
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData
    from escalade.report.data import ReportData

RATES = (1.0, 2.0)


def spoken(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def hours(partition: str, node_hours: float, **changes: Any) -> dict[str, Any]:
    row = {"partition": partition, "allocations": 1, "node_hours": node_hours, "cpu_hours": None}
    row |= {"gpu_hours": None, "lost_node_hours": 0.0, "price_per_hour": None, "basis": None}
    return {**row, "amount": None, **changes}


def priced(value: float | None, **changes: Any) -> dict[str, Any]:
    row = {"deployment": "small", "cell": None, "basis": "node", "per": "requests", "value": value}
    row |= {"ci_low": 0.6, "ci_high": 0.9, "unit": "EUR", "reason": "", "inputs": {"count": 2}}
    return {**row, **changes}


def with_cost(data: ReportData, *rows: dict[str, Any], **cost: Any) -> ReportData:
    found = {"currency": None, "amount": None, "untold_attempts": 0, "serving": [], **cost}
    return replace(data, verdicts={**data.verdicts, "cost": {**found, "partitions": list(rows)}})


def test_node_hours_are_told_by_partition_with_what_was_lost(one: ReportData) -> None:
    found = with_cost(
        one,
        hours("cpu", 2.0),
        hours("gpu", 4.0, lost_node_hours=1.0),
        untold_attempts=1,
    )

    assert spoken(hours_sentence(found)) == (
        "The campaign cost 2 node-hours in partition cpu and 4 node-hours in partition gpu, of them "
        "1 node-hour in attempts that came to nothing; 1 attempt beside that do not tell what they "
        "held."
    )


def test_without_prices_no_amount_is_told(one: ReportData) -> None:
    why = "no price is given for partition gpu"
    view = cost_view(with_cost(one, hours("gpu", 4.0), serving=[priced(None, reason=why)]))

    assert view is not None
    assert not view.priced
    assert (
        view.sentences[1]
        == "small: no price of serving, since no price is given for partition gpu."
    )
    assert view.hours.rows[0][-2:] == ("— (not given)", "—")


def test_prices_of_serving_come_with_interval_and_inputs(one: ReportData) -> None:
    rows = [priced(0.72), priced(5.5, per="output_tokens", basis="gpu", at_most=True)]
    view = cost_view(with_cost(one, hours("gpu", 4.0), serving=rows))

    assert view is not None
    assert [spoken(text) for text in view.sentences[1:]] == [
        (
            "Serving small at the rate that keeps the objectives costs 0.72 EUR [0.60, 0.90] per "
            "1000 requests, by the node-hour."
        ),
        (
            "Serving small at the rate that keeps the objectives costs at most 5.5 EUR [0.6, 0.9] per "
            "million output tokens, by the GPU-hour."
        ),
    ]
    assert spoken(view.serving.rows[0][4]).startswith("2 nodes")


def test_a_price_at_a_rate_that_no_step_confirms_says_so(one: ReportData) -> None:
    held = {**one.verdicts["capacity"][0], "slo_capacity_qps": 3.7, "slo_passed_qps": 2.0}
    data = with_cost(
        one, hours("gpu", 4.0), serving=[priced(0.72, deployment="smollm2", cell=held["cell"])]
    )

    for passed, said in ((2.0, True), (None, True), (3.6, False)):
        rows = [{**held, "slo_passed_qps": passed}]
        view = cost_view(replace(data, verdicts={**data.verdicts, "capacity": rows}))
        assert view is not None
        assert ("objectives, an estimate that no step confirms, costs" in view.sentences[1]) is said


def test_results_of_earlier_releases_have_no_section_on_cost(one: ReportData) -> None:
    assert cost_view(one) is None
    assert hours_sentence(one) == ""


@pytest.fixture(scope="module")
def metered() -> ReportData:
    """Give a campaign whose package draws 10 W idle and 30 W in a step."""
    cell = campaign.simulated_cell(rates=RATES)
    data: CellData = replace(cell, series=pd.concat([cell.series, *joules(cell)]))
    return campaign.analysed([data], campaign.configuration(("smollm2",), 1, RATES))


def joules(cell: CellData) -> list[pd.DataFrame]:
    frames = []
    for step in cell.steps:
        times = np.arange(step["started_at"] - 3.0, step["drained_at"] + 1.0, 1.0)
        busy = np.clip(times - step["started_at"], 0.0, None)
        frame = {"step": step["step"], "metric": "node_rapl_package_joules_total", "labels": "{}"}
        levels = 1e6 * step["step"] + 10.0 * (times - times[0]) + 20.0 * busy
        frames.append(pd.DataFrame({**frame, "timestamp": times, "value": levels}))
    return frames


def test_energy_is_told_with_scope_gross_and_net(metered: ReportData) -> None:
    cell = metered.facts[0].name
    rate = metered.estimate(cell, 2, "throughput_qps").value

    gross = metered.scoped(cell, 2, "energy_joules_per_request", "gross", "package")
    net = metered.scoped(cell, 2, "energy_joules_per_request", "net", "package")
    assert (gross.value, net.value) == (pytest.approx(30 / rate), pytest.approx(20 / rate))
    told = spoken(energy_sentence(metered, "smollm2"))
    assert told.startswith("At 2 requests/s a request takes 15.2 J (10.1 J net")
    assert told.endswith("(CPU package, this run only).")


def test_energy_has_a_chart_per_request_and_per_token_and_a_table(metered: ReportData) -> None:
    assert [chart.key for chart in energy_charts(metered)] == [
        "energy-request-package-1",
        "energy-token-package-1",
    ]
    assert len(energy_view(metered).table.rows) == len(RATES)


def test_where_nothing_was_measured_one_line_says_what_would(one: ReportData) -> None:
    view = energy_view(one)

    assert (view.table.rows, view.sentences, energy_charts(one)) == ((), (), [])
    assert f"CPU package: {ABSENT['package']}." in view.remarks
    assert "GPU board: no GPU." in view.remarks


def test_the_twin_has_the_sentences_on_energy(metered: ReportData) -> None:
    report = twin(metered, content_of(metered))

    (section,) = [each for each in report.sections if each.anchor == "energy"]
    assert any("net of idle" in spoken(text) for text in section.sentences)


def test_headroom_stands_beside_use_and_limit_and_what_is_missing_is_a_dash(
    one: ReportData,
) -> None:
    row = {"cell": "a", "deployment": "d", "place": "top", "step": 3, "offered_qps": 4.0}
    row |= {"resource": "service_cpu", "used": 0.75, "limit": 1.0, "unit": "cores"}
    row |= {"headroom_ratio": 0.25, "source": "service_cpu_cores", "words": "1 core"}
    missing = {**row, "resource": "gpu_memory", "used": None, "headroom_ratio": None}
    data = replace(one, verdicts={"headroom": [row, {**missing, "words": "not scraped"}]})

    (group,) = headroom_groups(data)

    assert group.table.columns[1] == "Top valid step: step 3, 4/s"
    known, unknown = ([spoken(text) for text in line] for line in group.table.rows)
    assert known[:4] == ["CPUs of the service", "0.75 cores", "25 %", "1 core"]
    assert (unknown[0], unknown[1], unknown[2], unknown[4]) == (
        "GPU memory",
        "—",
        "—",
        "not scraped",
    )


def test_a_figure_without_an_interval_says_why_on_the_page_and_in_its_twin(
    metered: ReportData,
) -> None:
    # the counter grows by the same 30 J in each second, however many answers that was
    why = "no interval: all "
    power = metered.scoped(metered.facts[0].name, 2, "power_watts", "mean", "package")
    table, _ = kpi_tables(metered.facts[0], metered)

    assert power.no_interval.startswith(why)
    place = [row.group for row in table.rows].index("Power")
    row = table.rows[place + 1]
    assert {entry.interval for entry in row.entries} == {"no interval"}
    assert all(
        table.notes.reasons[entry.note - 1].startswith(f"N{why[1:]}") for entry in row.entries
    )
    told = [
        each for each in twin(metered, content_of(metered)).kpis if each.metric == "power_watts"
    ]
    assert all((each.no_interval or "").startswith("not estimable: all ") for each in told)


def test_energy_per_request_has_its_interval_in_the_table(metered: ReportData) -> None:
    found = metered.scoped(
        metered.facts[0].name, 2, "energy_joules_per_request", "gross", "package"
    )
    row = energy_view(metered).table.rows[1]

    assert found.low < found.value < found.high
    assert "[" in row[6]
