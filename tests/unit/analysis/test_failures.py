"""Damaged, empty and extreme cells: a reason instead of a number, an error instead of nonsense."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from escalade.analysis.gates.calibration import not_calibrated
from escalade.analysis.kpis.catalogue import BY_NAME, METRICS
from escalade.analysis.kpis.readings import COLUMNS
from escalade.analysis.kpis.table import PER_STEP, SUMMARY, cell_kpis, summary
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from escalade.errors import NoDataError
from unit.analysis.builders import GOOD_CLIENT, Request, Step, cell, ladder, series_frame, value_of

SLOS = [Slo("fast", "latency_seconds", "p90", 0.5)]
MEASURED = Step([Request(1.0, latency=0.1), Request(2.0, latency=0.1)], client=GOOD_CLIENT)


def whole(data: CellData) -> tuple[pd.DataFrame, dict[str, Any]]:
    kpis = cell_kpis(data, SLOS)
    verdicts = judge(kpis, [data], SLOS)
    json.dumps(verdicts, allow_nan=False)
    return kpis, verdicts


def assert_missing_is_never_a_number(kpis: pd.DataFrame) -> None:
    absent = kpis["quality"].str.startswith(("missing", "not estimable"))
    assert kpis.loc[absent, "value"].isna().all()
    assert kpis.loc[~absent, "value"].notna().all()
    assert (kpis["quality"].str.len() > 0).all()


def test_a_table_has_the_columns_and_types_that_it_promises() -> None:
    kpis, _ = whole(cell(MEASURED))

    assert tuple(kpis.columns) == COLUMNS
    assert kpis.dtypes[["step", "repetition", "n"]].tolist() == [np.dtype("int64")] * 3
    assert (
        kpis.dtypes[["value", "ci_low", "ci_high", "n_eff"]].tolist() == [np.dtype("float64")] * 4
    )


def test_every_metric_of_the_catalogue_has_its_rows() -> None:
    kpis, _ = whole(replace(cell(MEASURED), calibration=not_calibrated("not tried")))

    found = {(metric, stat) for metric, stat in zip(kpis["metric"], kpis["stat"], strict=True)}
    expected = {
        (metric.name, stat)
        for metric in METRICS
        for stat in metric.stats
        if not metric.name.startswith("gpu_") and not metric.where_used
    }
    assert found == expected | {("gpu_utilization_ratio", "mean")}


@pytest.mark.parametrize("outcome", ["service_failed", "client_failed", "not_run"])
def test_a_step_without_measurement_has_every_row_missing_with_the_reason(outcome: str) -> None:
    kpis, _ = whole(cell(MEASURED, Step(outcome=outcome, cause="because", target_qps=2.0)))

    rows = kpis[kpis["step"] == 2]
    assert set(rows["metric"]) == {name for name in PER_STEP if not name.startswith("gpu_")} | {
        "gpu_utilization_ratio"
    }
    assert rows["value"].isna().all()
    assert rows["ci_low"].isna().all()
    assert (
        rows.loc[rows["metric"] != "gpu_utilization_ratio", "quality"].str.endswith("because").all()
    )


def test_a_service_that_never_became_ready_has_rows_and_verdicts() -> None:
    data = cell(
        Step(outcome="not_run", cause="never ready"),
        Step(outcome="not_run", cause="never ready"),
        service=None,
        metric_names={},
    )

    kpis, verdicts = whole(data)

    assert_missing_is_never_a_number(kpis)
    assert {row["verdict"] for row in verdicts["slos"]} == {"NOT_RUN"}
    assert verdicts["capacity"][0]["capacity_qps"] is None


def test_a_cell_without_steps_has_only_its_start() -> None:
    kpis, verdicts = whole(cell())

    assert set(kpis["step"]) == {0}
    assert verdicts["gates"] == []
    assert summary(kpis).empty


def test_an_empty_cohort_leaves_latency_missing() -> None:
    kpis, _ = whole(cell(replace(MEASURED, requests=[Request(-1.0)])))

    assert_missing_is_never_a_number(kpis)
    assert (
        value_of(kpis, "latency_seconds", "p50").quality
        == "missing: no request was planned inside the window"
    )
    assert (
        value_of(kpis, "error_ratio").quality == "missing: no request was planned inside the window"
    )


def test_an_empty_log_of_a_measured_step_leaves_everything_of_it_missing() -> None:
    kpis, _ = whole(cell(replace(MEASURED, requests=[])))

    assert_missing_is_never_a_number(kpis)
    assert (
        value_of(kpis, "throughput_qps").quality
        == "missing: the request log has no row of this step"
    )
    assert value_of(kpis, "client_cpu_ratio").value == pytest.approx(0.1)


def test_all_requests_failed_is_a_result() -> None:
    requests = [
        replace(request, error="connect", latency=0.01) for request in MEASURED.requests
    ] * 1
    kpis, _ = whole(cell(replace(MEASURED, requests=requests)))

    assert_missing_is_never_a_number(kpis)
    assert value_of(kpis, "error_ratio").value == 1.0
    assert value_of(kpis, "throughput_qps").value == 0.0  # measured: nothing came back
    assert value_of(kpis, "goodput_qps").value == 0.0
    assert (
        value_of(kpis, "latency_seconds", "mean").quality
        == "not estimable: 100 % of requests failed"
    )


def test_one_request_is_too_few_for_nearly_everything() -> None:
    kpis, _ = whole(cell(replace(MEASURED, requests=[Request(1.0, latency=0.5)])))

    assert_missing_is_never_a_number(kpis)
    assert math.isnan(value_of(kpis, "arrival_rate_qps").value)
    assert value_of(kpis, "latency_seconds", "max").value == pytest.approx(0.5)
    assert value_of(kpis, "latency_seconds", "p50").quality == "not estimable: needs n ≥ 6"


def test_two_requests_at_the_same_instant_have_no_rate() -> None:
    kpis, _ = whole(cell(replace(MEASURED, requests=[Request(1.0), Request(1.0)])))

    assert math.isnan(value_of(kpis, "arrival_rate_qps").value)


def test_tokens_that_the_server_did_not_count_are_missing() -> None:
    requests = [
        replace(request, input_tokens=None, output_tokens=None, cached_tokens=None)
        for request in MEASURED.requests
    ]
    kpis, _ = whole(cell(replace(MEASURED, requests=requests)))

    for metric, stat in (
        ("input_tokens", "mean"),
        ("output_tokens", "mean"),
        ("cached_token_ratio", "value"),
    ):
        assert (
            value_of(kpis, metric, stat).quality == "missing: the server reported no token counts"
        )


def test_samples_of_nan_are_missing() -> None:
    data = ladder([4.0], seconds=12.0)
    series = data.series.assign(value=np.nan)
    kpis, _ = whole(replace(data, series=series))

    assert_missing_is_never_a_number(kpis)
    assert math.isnan(value_of(kpis, "service_cpu_cores", "mean").value)


def test_a_cell_without_samples_has_its_log_judged_as_unknown() -> None:
    data = ladder([4.0], seconds=12.0)
    kpis, verdicts = whole(replace(data, series=series_frame([])))

    assert_missing_is_never_a_number(kpis)
    assert verdicts["slos"][0]["verdict"] == "INCONCLUSIVE"


@pytest.mark.parametrize("column", ["planned_at", "ended_at", "error", "chunk_offsets", "step"])
def test_a_log_that_lacks_a_column_is_refused(column: str) -> None:
    data = cell(MEASURED)

    with pytest.raises(NoDataError, match=column):
        cell_kpis(replace(data, requests=data.requests.drop(columns=[column])))


@pytest.mark.parametrize("column", ["metric", "labels", "value", "step"])
def test_samples_that_lack_a_column_are_refused(column: str) -> None:
    data = cell(MEASURED)

    with pytest.raises(NoDataError, match=column):
        cell_kpis(replace(data, series=data.series.drop(columns=[column])))


def test_the_input_is_left_as_it_was() -> None:
    data = ladder([4.0, 14.0], seconds=12.0)
    requests, series = data.requests.copy(deep=True), data.series.copy(deep=True)
    windows = json.dumps(data.windows)

    whole(data)

    pd.testing.assert_frame_equal(data.requests, requests)
    pd.testing.assert_frame_equal(data.series, series)
    assert json.dumps(data.windows) == windows


def test_the_summary_has_one_row_a_step_with_units_in_its_names() -> None:
    kpis, _ = whole(ladder([4.0, 14.0], seconds=30.0))

    found = summary(kpis)

    assert found["step"].tolist() == [1, 2]
    assert found["throughput_qps"].tolist() == pytest.approx([4.0, 10.0], rel=0.05)
    assert found["latency_p95_seconds"].notna().all()
    assert found["latency_p99_seconds"].isna().tolist() == [True, False]  # 120 and 420 requests
    assert found["flagged"].tolist()[1].startswith("latency_p50_seconds latency_p95_seconds")
    for column, (metric, _) in SUMMARY.items():
        unit = {"s": "_seconds", "1/s": "_qps", "ratio": "_ratio", "cores": "_cores"}[
            BY_NAME[metric].unit
        ]
        assert column.endswith(unit)


def test_several_cells_can_be_joined_before_they_are_summed_up() -> None:
    kpis = pd.concat(
        [whole(ladder([4.0], seconds=12.0, repetition=k))[0] for k in (1, 2)], ignore_index=True
    )

    assert summary(kpis)["repetition"].tolist() == [1, 2]
