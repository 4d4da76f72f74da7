"""A cell without monitoring: what needs samples is missing with the reason, and invalidates nothing."""

from __future__ import annotations

import pytest

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.series_kpis import UNMONITORED
from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import AGREEMENT, APART, GOOD_CLIENT, Request, Step, cell

GOOD = [Request(0.1 * at, latency=0.05, sent=0.1 * at + 0.0002) for at in range(100)]
OF_SAMPLES = {"scrape_coverage", "scrape_gap", "client_server_agreement", "neighbours"}
DATA = {"agreement": AGREEMENT, "allocation": APART}


def test_gates_that_need_scrapes_are_not_applicable_and_invalidate_nothing() -> None:
    off = cell(Step(GOOD, client=GOOD_CLIENT), monitoring="off", **DATA)

    gates = {row["gate"]: row for row in cell_gates(off, cell_kpis(off))}

    assert {name for name, row in gates.items() if row["outcome"] == "not applicable"} == OF_SAMPLES
    assert all(gates[name]["detail"] == UNMONITORED for name in OF_SAMPLES)
    assert not any(gates[name]["invalidates"] for name in OF_SAMPLES)
    assert {row["outcome"] for name, row in gates.items() if name not in OF_SAMPLES} == {"pass"}


def test_the_same_step_without_its_samples_by_accident_is_no_valid_one() -> None:
    lost = cell(Step(GOOD, client=GOOD_CLIENT), **DATA)

    gates = {row["gate"]: row for row in cell_gates(lost, cell_kpis(lost))}

    assert all(gates[name]["outcome"] == "unknown" for name in OF_SAMPLES)
    assert gates["scrape_coverage"]["invalidates"]


@pytest.mark.parametrize("gpus", [[], [{"name": "H100", "index": 0, "uuid": "x"}]])
def test_what_is_made_of_samples_is_missing_with_the_reason(gpus: list[dict[str, object]]) -> None:
    step = Step(GOOD, client=GOOD_CLIENT)
    off = cell(step, monitoring="off", **{**DATA, "gpus": gpus, "gpu_note": "no GPU here"})
    on = cell(step, **{**DATA, "gpus": gpus, "gpu_note": "no GPU here"})

    kpis, monitored = cell_kpis(off), cell_kpis(on)

    missing = kpis[kpis["quality"] == f"missing: {UNMONITORED}"]
    assert missing["value"].isna().all()
    assert {"service_cpu_cores", "node_cpu_ratio", "scrape_gap_seconds"} <= set(missing["metric"])
    assert ("gpu_power_watts" in set(missing["metric"])) == bool(gpus)
    # The same metrics stand in both tables, and what the client knows is the same.
    assert set(kpis["metric"]) == set(monitored["metric"])
    of_log = kpis[kpis["source"] == "requests.parquet"].reset_index(drop=True)
    same = monitored[monitored["source"] == "requests.parquet"].reset_index(drop=True)
    assert of_log.equals(same)
    assert kpis[kpis["metric"] == "steal_ratio"]["value"].item() == 0.01  # the client's own figure
