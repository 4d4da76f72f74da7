"""What holds for every gate, whatever was measured: cells that anything may have spoilt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from unit.analysis.kpis.rich import KINDS, rich_cell, unsampled

SLOS = [Slo("fast", "latency_seconds", "p50", 0.3)]
FEW = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KIND, SEED = st.sampled_from(KINDS), st.integers(0, 2**32 - 1)
AT_MOST = {
    "arrival_rate", "client_backlog", "client_cpu", "client_suspended", "gap_cv", "late_ratio",
    "gpu_samples", "neighbours", "scrape_gap", "steal", "turnaround",
}  # fmt: skip
AT_LEAST = {"gpu_headroom", "sample_floor", "scrape_coverage"}
"""Gates that a number decides by itself; others look at intervals, or at several numbers."""
BY_CLIENT = {"client_cpu", "client_suspended"}
BY_SAMPLES = {
    *("scrape_coverage", "scrape_gap", "client_server_agreement", "neighbours"),
    "gpu_samples",
}


@st.composite
def clients(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a client may report of itself, good or bad."""
    return {
        "cpu_seconds": draw(st.floats(0.0, 40.0)),
        "wall_seconds": 20.0,
        "cores": 1,
        "event_loop_lag_seconds": {"p50": 0.0001, "p99": draw(st.floats(0.0, 0.2)), "max": 0.3},
        "steal_ratio": draw(st.floats(0.0, 0.5)),
        "users": 10,
        "backlog_max": draw(st.integers(0, 50)),
        "suspended_seconds": draw(st.sampled_from([0.0, 0.0, 0.5, 3.0])),
    }


def with_client(data: CellData, client: dict[str, Any] | None) -> CellData:
    steps = [{**outcome, "client": client} for outcome in data.windows["steps"]]
    return replace(data, windows={**data.windows, "steps": steps})


def gates_of(data: CellData) -> dict[str, dict[str, Any]]:
    return {row["gate"]: row for row in cell_gates(data, cell_kpis(data, SLOS))}


@FEW
@given(KIND, SEED, clients(), st.floats(0.0, 1.0))
def test_a_gate_passes_exactly_within_its_limit(
    kind: str, seed: int, client: dict[str, Any], kept: float
) -> None:
    data = with_client(rich_cell(kind, seed), client)
    samples = data.series.sample(frac=kept, random_state=seed % 1000)
    gates = gates_of(replace(data, series=samples))

    for name, row in gates.items():
        assert row["outcome"] in ("pass", "fail", "unknown", "not applicable")
        assert row["detail"]
        if row["outcome"] in ("unknown", "not applicable") or row["value"] is None:
            continue
        if name in AT_MOST:
            assert (row["outcome"] == "pass") == (row["value"] <= row["limit"]), row
        if name in AT_LEAST:
            assert (row["outcome"] == "pass") == (row["value"] >= row["limit"]), row
        if name in ("backlog_slope", "littles_law", "client_server_agreement"):
            assert row["outcome"] == "pass" or row["value"] > row["limit"], row
        if name == "steadiness":  # either way
            assert row["outcome"] == "pass" or max(row["value"], 1 / row["value"]) > row["limit"]
        if name == "over_saturation":
            assert row["outcome"] == "pass" or row["value"] < row["limit"], row


@FEW
@given(KIND, SEED, clients())
def test_what_was_not_reported_is_unknown_and_never_passed(
    kind: str, seed: int, client: dict[str, Any]
) -> None:
    silent = gates_of(with_client(rich_cell(kind, seed), None))
    blind = gates_of(with_client(unsampled(rich_cell(kind, seed)), client))

    for gates, names in ((silent, BY_CLIENT), (blind, BY_SAMPLES)):
        for name in names & set(gates):
            assert gates[name]["outcome"] in ("unknown", "not applicable"), gates[name]


@FEW
@given(KIND, SEED, clients(), st.floats(1.0, 5.0))
def test_a_worse_client_never_turns_a_failed_gate_into_a_passed_one(
    kind: str, seed: int, client: dict[str, Any], factor: float
) -> None:
    worse = client | {
        name: client[name] * factor for name in ("cpu_seconds", "steal_ratio", "suspended_seconds")
    }
    data = rich_cell(kind, seed)
    before, after = gates_of(with_client(data, client)), gates_of(with_client(data, worse))

    for name in ("client_cpu", "steal", "client_suspended"):
        assert not (before[name]["outcome"] == "fail" and after[name]["outcome"] == "pass")


@FEW
@given(KIND, SEED, st.sampled_from(["service_failed", "client_failed", "not_run"]))
def test_a_step_that_was_not_measured_passes_nothing(kind: str, seed: int, outcome: str) -> None:
    data = rich_cell(kind, seed)
    steps = [
        {**step, "outcome": outcome, "cause": "it ended", "window_start": None, "window_end": None}
        for step in data.windows["steps"]
    ]
    gates = cell_gates(
        replace(data, windows={**data.windows, "steps": steps}), cell_kpis(data, SLOS)
    )

    of_step = [row for row in gates if row["step"] == 1]
    assert [(row["gate"], row["outcome"]) for row in of_step] == [("step_measured", "fail")]
    assert of_step[0]["invalidates"]
