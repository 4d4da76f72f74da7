"""Warnings: what limits the use of the figures, where, and how grave."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from escalade.report.sections.concerns import FAILURE, NOTE, WARNING, Concern, concerns
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

RATES = (1.0, 2.0)


def grave(data: ReportData) -> list[Concern]:
    return [concern for concern in concerns(data) if concern.severity != NOTE]


def test_a_sound_campaign_has_no_warning(one: ReportData) -> None:
    assert grave(one) == []


def test_a_failed_cell_comes_first_with_cause_and_last_log_lines() -> None:
    good = campaign.simulated_cell(rates=RATES)
    bad = campaign.without_results(good, "the service never became ready", ["out of memory"])
    data = campaign.analysed([bad], campaign.configuration(("smollm2",), 1, RATES))

    first, second = grave(data)

    assert first.severity == FAILURE
    assert first.text == "The cell failed: the service never became ready."
    assert first.log_tail == ("out of memory",)
    assert first.anchor == "cell-1"
    assert second.text == "Steps 1 and 2 (1 and 2 requests/s) did not run: no numbers."


def test_a_service_that_dies_in_a_step_names_step_rate_and_cause() -> None:
    good = campaign.simulated_cell(rates=RATES)
    windows = copy.deepcopy(dict(good.windows))
    windows["steps"][1].update(outcome="service_failed", cause="killed by SIGKILL", log_tail=["x"])
    cell = {**good.cell, "outcome": "failed", "cause": "killed by SIGKILL"}
    died = replace(good, windows=windows, cell=cell)
    data = campaign.analysed([died], campaign.configuration(("smollm2",), 1, RATES))

    texts = [concern.text.replace("\N{NO-BREAK SPACE}", " ") for concern in grave(data)]

    assert "Step 2 (2 requests/s): the service failed (killed by SIGKILL)." in texts


def test_a_gate_that_invalidates_is_a_warning_with_step_and_number() -> None:
    cell = campaign.simulated_cell(rates=RATES, away=2)
    data = campaign.analysed([cell], campaign.configuration(("smollm2",), 1, RATES))

    (warning,) = [c for c in grave(data) if c.text.startswith("Gate scrape gap")]

    assert warning.severity == WARNING
    assert warning.text.startswith("Gate scrape gap failed in step 2, which makes it INVALID: ")
    assert "9 s" in warning.text


def test_neighbours_on_the_services_cpus_are_told_plainly() -> None:
    cell = campaign.simulated_cell(rates=RATES, robbed=1)
    data = campaign.analysed([cell], campaign.configuration(("smollm2",), 1, RATES))

    (warning,) = grave(data)

    assert warning.text == (
        "Gate neighbours failed in step 1, which makes it INVALID: other programs used 47 % of "
        "the service's CPUs; at most 10 % may be (step 1)."
    )


def test_gates_of_several_steps_make_one_concern(one: ReportData) -> None:
    gates = [
        {"cell": one.facts[0].name, "step": step, "gate": "late_ratio", "value": 0.02}
        | {"limit": 0.01, "unit": "ratio", "outcome": "fail", "detail": "", "invalidates": True}
        for step in (1, 2, 4)
    ]
    data = replace(one, verdicts={**one.verdicts, "gates": gates})

    (warning,) = grave(data)

    assert warning.text == (
        "Gate late ratio failed in steps 1, 2 and 4, which makes it INVALID (client_limited): "
        "2\N{NO-BREAK SPACE}% where 1\N{NO-BREAK SPACE}% is the limit; raise load.workers, or give the "
        "client cores of its own; the table of gates has the others."
    )


def test_a_number_missing_in_some_steps_is_a_warning_and_in_all_a_note(one: ReportData) -> None:
    kpis = one.kpis.copy()
    queue = kpis["metric"] == "queue_length"
    running = kpis["metric"] == "requests_running"
    assert running.any()
    kpis.loc[queue & (kpis["step"] == 3), ["value", "quality"]] = [float("nan"), "missing: gone"]

    found = {concern.text: concern.severity for concern in concerns(replace(one, kpis=kpis))}

    assert found["Queue length (mean, max) in step 3 missing: gone."] == WARNING
    everywhere = next(text for text in found if text.startswith("Requests being served"))
    assert "in steps 1 to 5 missing" in everywhere
    assert found[everywhere] == NOTE


def test_flags_are_gathered_whatever_figures_they_name(one: ReportData) -> None:
    texts = [c.text for c in concerns(one) if "to be read with care" in c.text]

    assert len(texts) == len({text.rpartition(": ")[2] for text in texts})
    assert any("End-to-end latency (p50, p90, p95, mean, max)" in text for text in texts)


def test_short_windows_and_stale_cells_are_named(one: ReportData) -> None:
    texts = [c.text for c in concerns(replace(one, stale=["old_rep-1_00000000"]))]

    assert any("windows of 40 s" in text for text in texts)
    assert any(text.startswith("Stale:") for text in texts)


def test_no_cell_and_no_kpi_are_failures(one: ReportData) -> None:
    empty = pd.DataFrame()

    assert grave(replace(one, cells=[], kpis=empty, verdicts={}))[0].severity == FAILURE
    assert "KPI table is empty" in grave(replace(one, kpis=empty, verdicts={}))[0].text
