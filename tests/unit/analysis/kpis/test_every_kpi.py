"""What holds for every KPI of the catalogue, whatever was measured: random cells of every kind of load."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.catalogue import BY_NAME, METRICS
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from unit.analysis.kpis.rich import KINDS, moved, rich_cell, shuffled, unsampled

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

SLOS = [Slo("fast", "latency_seconds", "p50", 0.3)]
FEW = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CELLS = given(st.sampled_from(KINDS), st.integers(0, 2**32 - 1))
SIGNED = {"service_memory_growth_bytes_per_second", "noted", "turnaround_seconds"}
"""What may be negative: a slope, what a workload notes, a difference of clocks."""
UP_TO_ONE = {
    "abandoned_ratio", "cached_token_ratio", "error_ratio", "gpu_utilization_ratio",
    "kv_cache_usage_ratio", "late_ratio", "node_cpu_ratio", "recall_at_k",
    "scrape_coverage_ratio", "steal_ratio",
}  # fmt: skip
SAMPLED = {metric.name for metric in METRICS if metric.source.startswith("series.parquet")}
KEY = ["metric", "stat", "step", "source"]


def kpis_of(data: CellData) -> pd.DataFrame:
    return cell_kpis(data, SLOS, trimmed=True)


@functools.cache
def of_every_kind() -> pd.DataFrame:
    """Give the KPIs of one cell of each kind."""
    return pd.concat([kpis_of(rich_cell(kind, 1)) for kind in KINDS], ignore_index=True)


@pytest.mark.parametrize("metric", [metric.name for metric in METRICS])
def test_the_random_cells_have_a_value_of_every_kpi(metric: str) -> None:
    rows = of_every_kind()

    assert rows.loc[rows["metric"] == metric, "value"].notna().any()


@FEW
@CELLS
def test_every_row_is_a_number_within_its_bounds_or_says_why_it_is_none(
    kind: str, seed: int
) -> None:
    kpis = kpis_of(rich_cell(kind, seed))

    known = kpis[kpis["value"].notna()]
    said = known["quality"].eq("ok") | known["quality"].str.startswith("flagged")
    assert said.all()
    missing = kpis.loc[kpis["value"].isna(), "quality"]
    assert missing.str.match(r"(missing|not estimable): .").all()
    assert np.isfinite(known["value"]).all()
    signed = known["metric"].isin(SIGNED) | known["stat"].eq("net")  # net of an idle that was more
    assert (known.loc[~signed, "value"] >= 0).all()
    assert (known.loc[known["metric"].isin(UP_TO_ONE), "value"] <= 1).all()
    bounded = known[known["ci_low"].notna()]
    slack = 1e-9 * bounded["value"].abs()
    assert (bounded["ci_low"] <= bounded["value"] + slack).all()
    assert (bounded["value"] <= bounded["ci_high"] + slack).all()
    assert (known["n"] >= 0).all()
    assert set(kpis["metric"]) <= set(BY_NAME)
    assert all(row.stat in BY_NAME[row.metric].stats for row in kpis.itertuples())


@FEW
@CELLS
def test_no_kpi_depends_on_the_order_of_the_rows(kind: str, seed: int) -> None:
    data = rich_cell(kind, seed)

    pd.testing.assert_frame_equal(kpis_of(data), kpis_of(shuffled(data, seed)))


@FEW
@CELLS
def test_no_kpi_depends_on_the_date(kind: str, seed: int) -> None:
    data = rich_cell(kind, seed)
    here, later = kpis_of(data), kpis_of(moved(data, 4096.0))

    pd.testing.assert_frame_equal(here[KEY], later[KEY])
    assert (here["value"].isna() == later["value"].isna()).all()
    np.testing.assert_allclose(here["value"], later["value"], rtol=1e-5, atol=1e-6)


@FEW
@CELLS
def test_what_was_not_sampled_is_missing_with_its_reason_and_never_zero(
    kind: str, seed: int
) -> None:
    kpis = kpis_of(unsampled(rich_cell(kind, seed)))

    rows = kpis[kpis["metric"].isin(SAMPLED)]
    assert len(rows)
    assert rows["value"].isna().all(), rows[rows["value"].notna()][["metric", "value"]]
    assert rows["quality"].str.startswith("missing: ").all()


@FEW
@CELLS
def test_percentiles_ascend_and_no_good_rate_exceeds_the_whole(kind: str, seed: int) -> None:
    kpis = kpis_of(rich_cell(kind, seed))

    for (metric, source), rows in kpis.groupby(["metric", "source"]):
        by_stat = rows.set_index("stat")["value"]
        stats = [stat for stat in ("p50", "p90", "p95", "p99", "max") if stat in by_stat]
        values = [by_stat[stat] for stat in stats if np.isfinite(by_stat[stat])]
        falling = metric == "output_tokens_per_second_per_user"  # the inverse of a time
        assert values == sorted(values, reverse=falling), (metric, source)
    rates = kpis[kpis["source"] == "requests.parquet"].set_index(["metric", "stat"])["value"]
    good = kpis.loc[kpis["metric"] == "goodput_qps", "value"].max()
    whole = rates["throughput_qps", "value"]
    assert not good > whole + 1e-9
    energy = kpis[kpis["metric"].str.startswith("energy_joules")]
    for _, rows in energy.groupby(["metric", "source"]):
        found = rows.set_index("stat")["value"]
        assert not found.get("net", np.nan) > found["gross"] + 1e-9


@FEW
@CELLS
def test_a_gate_says_what_it_saw_and_nothing_where_nothing_was_sampled(
    kind: str, seed: int
) -> None:
    data = rich_cell(kind, seed)
    blind = unsampled(data)
    seen = {row["gate"]: row for row in cell_gates(data, kpis_of(data))}
    unseen = {row["gate"]: row for row in cell_gates(blind, kpis_of(blind))}

    for row in (*seen.values(), *unseen.values()):
        assert row["outcome"] in ("pass", "fail", "unknown", "not applicable")
        assert row["detail"]
        assert row["value"] is None or np.isfinite(row["value"])
    for name in ("scrape_coverage", "scrape_gap", "neighbours", "agreement"):
        if name in unseen:
            assert unseen[name]["outcome"] != "pass", unseen[name]
