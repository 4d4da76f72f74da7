"""A campaign of two deployments and two repetitions, and what may happen to it afterwards."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.files import read_json, sha256_of
from workplace import Workplace, deployment, ladder

if TYPE_CHECKING:
    from pathlib import Path

TWO = [deployment("quick"), deployment("slow", ttft_seconds=0.1)]
STEPS = {**ladder((70, 2)), "calibration_seconds": 0.5}
"""More than four slots of 112 ms can do (36/s), and less than four of 29 ms can (138/s)."""
PARTS = [
    {
        "name": "counts",
        "command": ["seq", "50"],
        "iterations": 40,
        "warmup_iterations": 10,
        "least_seconds": 0,
    }
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Measure once; the tests below look at it, in the order of this file."""
    place = Workplace(tmp_path_factory.mktemp("campaign"))
    place.write(deployments=TWO, repetitions=2, load=STEPS, components=PARTS)
    code, output = place.run(timeout=550)
    assert code == 0, output
    return place


def fingerprints(place: Workplace) -> dict[str, Any]:
    """Give inode, time and hash of every file of the cells."""
    files = [path for path in (place.results / "cells").rglob("*") if path.is_file()]
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns, sha256_of(p)) for p in files}


@pytest.mark.timeout(600)
def test_cells_run_in_the_order_of_the_plan(measured: Workplace) -> None:
    begun = [event.cell for event in measured.events() if event.stage == "allocate"]

    order = [(name.split("_")[0], name.split("_")[1]) for name in dict.fromkeys(begun)]
    assert order == [("quick", "rep-1"), ("slow", "rep-1"), ("quick", "rep-2"), ("slow", "rep-2")]


def test_a_lane_ends_a_cell_before_it_begins_the_next(measured: Workplace) -> None:
    cells = [event.cell for event in measured.events() if event.cell]

    changes = sum(1 for before, after in itertools.pairwise(cells) if before != after)
    assert changes == 3  # three changes between four cells


def test_every_planned_request_is_one_row(measured: Workplace) -> None:
    for cell in measured.cells():
        folder = measured.results / "cells" / cell
        planned = pd.read_parquet(folder / "schedule.parquet")
        logged = pd.read_parquet(folder / "requests.parquet")
        keys = ["step", "index"]
        assert sorted(map(tuple, planned[keys].to_numpy())) == sorted(
            map(tuple, logged[keys].to_numpy())
        )


def test_the_client_of_every_cell_was_calibrated_on_the_service_s_place(
    measured: Workplace,
) -> None:
    for cell in measured.cells():
        folder = measured.results / "cells" / cell
        found = read_json(folder / "calibration.json", "calibration")
        assert found["target_qps"] == 1.5 * 70
        assert found["requests"] == 52  # half a second of them
        assert found["failed"] == 0
        assert 0 < found["added_seconds"]["p50"]["value"] < 0.02  # a 30 ms answer is not in it
        served = (folder / "calibration" / "null-server.jsonl").read_text().splitlines()
        assert len(served) == 52 + 52  # half a second of warm-up
    kpis = pd.read_parquet(measured.results / "kpis.parquet")
    assert (kpis.metric == "client_ceiling_qps").sum() == len(measured.cells())


def test_the_live_counters_of_the_client_are_scraped_and_agree_with_its_log(
    measured: Workplace,
) -> None:
    for cell in measured.cells():
        folder = measured.results / "cells" / cell
        series = pd.read_parquet(folder / "series.parquet")
        requests = pd.read_parquet(folder / "requests.parquet")
        sent = series[series.metric == "escalade_load_sent_total"]
        assert sent.value.max() == requests.sent_at.notna().sum()
        kept = {name for name in series.metric if name.startswith("escalade_load_")}
        assert kept > {"escalade_load_in_flight", "escalade_load_backlog"}
        assert not any(name.endswith("_bucket") for name in kept)  # the archive has them
    verdicts = read_json(measured.results / "verdicts.json", "verdicts")
    live = [gate for gate in verdicts["gates"] if gate["gate"] == "live_metrics"]
    assert [gate["outcome"] for gate in live] == ["pass"] * len(measured.cells()), live


def test_the_capacity_that_is_set_bounds_what_was_attained(measured: Workplace) -> None:
    rows = read_json(measured.results / "verdicts.json", "verdicts")["bounds"]

    assert {row["cell"] for row in rows} == set(measured.cells())
    assert {row["kind"] for row in rows} == {"configured"}
    assert all(0.3 < row["ratio"] <= 1.05 for row in rows), rows
    for cell in measured.cells():  # nothing is measured that bounds nothing
        found = read_json(measured.results / "cells" / cell / "bounds.json", "inputs")
        assert found["cpu"] is None


def test_deployments_of_one_repetition_get_the_same_arrivals(measured: Workplace) -> None:
    first, second, *_ = sorted(name for name in measured.cells() if "rep-1" in name)

    hashes = {
        name: pd.read_parquet(measured.results / "cells" / name / "schedule.parquet")
        for name in (first, second)
    }
    pd.testing.assert_frame_equal(hashes[first], hashes[second])


def test_nothing_of_it_runs_any_more(measured: Workplace) -> None:
    assert measured.processes() == []


def test_the_manifest_covers_the_report_and_agrees(measured: Workplace) -> None:
    code, output = measured.escalade("verify", str(measured.results))

    assert code == 0, output
    manifest = read_json(measured.results / "MANIFEST.json", "manifest")
    assert "report.html" in manifest["artifacts"]


def test_throughput_saturates_where_the_slots_do(measured: Workplace) -> None:
    kpis = pd.read_csv(measured.results / "kpis.csv")
    rows = kpis[kpis.metric == "throughput_qps"]

    assert (rows[rows.deployment == "slow"].value < 0.6 * 70).all()
    assert (rows[rows.deployment == "quick"].value > 0.9 * 70).all()


def test_a_replay_gives_the_same_bytes(measured: Workplace, tmp_path: Path) -> None:
    code, output = measured.escalade("replay", str(measured.results), "--out", str(tmp_path))

    assert code == 0, output
    assert output.count("identical") == 10
    for name in ("kpis.csv", "kpis.parquet", "verdicts.json", "report.html"):
        assert sha256_of(tmp_path / name) == sha256_of(measured.results / name)


def test_components_are_measured_when_all_cells_are_over(measured: Workplace) -> None:
    begun = [event.stage for event in measured.events() if event.kind == "started"]
    content = read_json(measured.results / "components" / "components.json", "components")

    assert begun.index("measure_components") > max(
        place for place, stage in enumerate(begun) if stage == "archive_cell"
    )
    (entry,) = content["components"]
    assert (entry["status"], entry["rows"][0]["value"]) == ("measured", 30.5)  # of 11 to 50
    assert "Component benchmarks" in (measured.results / "report.html").read_text()


def test_the_archive_opens_in_a_prometheus(measured: Workplace) -> None:
    for cell in measured.cells():
        assert (measured.results / "cells" / cell / "tsdb.tar.zst").stat().st_size > 1000


def test_a_second_run_measures_nothing(measured: Workplace) -> None:
    before = fingerprints(measured)

    code, output = measured.run()

    assert code == 0, output
    assert fingerprints(measured) == before


def test_dry_run_rulegraph_and_unlock_touch_nothing(measured: Workplace) -> None:
    before = fingerprints(measured)

    for arguments in (("-n",), ("--rulegraph",), ("--unlock",)):
        answer = measured.snakemake(*arguments)
        assert answer.returncode == 0, answer.stderr

    assert fingerprints(measured) == before


def test_forceall_does_not_measure_again(measured: Workplace) -> None:
    before = fingerprints(measured)

    answer = measured.snakemake("--forceall")

    assert answer.returncode == 0, answer.stderr
    assert fingerprints(measured) == before


def test_another_slo_is_judged_without_measuring(measured: Workplace) -> None:
    before = fingerprints(measured)
    impossible = {"name": "fast", "metric": "latency_seconds", "stat": "p50", "limit": 0.001}
    measured.write(deployments=TWO, repetitions=2, load=STEPS, slos=[{**impossible, "at_qps": 70}])

    code, output = measured.run()

    assert fingerprints(measured) == before
    rows = read_json(measured.results / "verdicts.json", "verdicts")["slos"]
    assert {row["limit"] for row in rows} == {0.001}
    assert {row["verdict"] for row in rows} <= {"FAIL", "INVALID"}
    assert code in (1, 4), output  # missed, or on a busy machine not measured well enough


def test_a_changed_deployment_gets_its_own_folder_and_the_stale_one_is_named(
    measured: Workplace,
) -> None:
    changed = [deployment("quick", slots=2), TWO[1]]
    measured.write(deployments=changed, repetitions=2, load=STEPS)

    code, output = measured.escalade("plan", str(measured.config))

    assert code == 0, output
    assert output.count("to measure") == 2
    stale = [name for name in measured.cells() if name.startswith("quick")]
    assert len(stale) == 2
    assert all(name in output for name in stale)


@pytest.mark.slow
def test_a_trace_is_replayed_with_its_lengths(workplace: Workplace) -> None:
    tokens = [2 + number % 3 for number in range(101)]
    trace = pd.DataFrame({"offset_seconds": [number / 20 for number in range(101)]})
    trace.assign(output_tokens=tokens).to_csv(workplace.folder / "week.csv", index=False)
    load = {
        **ladder((20, 2), (40, 1)),
        "workers": 2,
        "arrivals": "trace",
        "trace": {"file": "week.csv"},
    }
    workplace.write(load=load, workload={"input_tokens": {"uniform": [5, 9]}})

    code, output = workplace.run()

    assert code == 0, output
    folder = workplace.results / "cells" / workplace.cells()[0]
    planned = pd.read_parquet(folder / "schedule.parquet")
    logged = pd.read_parquet(folder / "requests.parquet")
    assert planned.input_tokens.between(5, 9).all()
    for step, count in ((1, 50), (2, 60)):  # half a second of warm-up before each window
        asked = planned[planned.step == step].output_tokens
        assert asked.tolist() == tokens[:count]
        counted = logged[logged.step == step].sort_values("index").output_tokens
        assert counted.tolist() == tokens[:count]  # by the server
    first, second = workplace.steps()
    pause = second["started_at"] - first["drained_at"]
    assert 1.0 <= pause < 4  # a scrape of the idle service lies between them
