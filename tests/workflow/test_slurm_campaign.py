"""A campaign on a cluster: client and service on nodes of their own, in held jobs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import read_json
from gpus import Machine, build_library
from slurm.campaigns import GPUS, jobs, on_slurm
from workplace import Workplace, deployment, ladder, until

if TYPE_CHECKING:
    from pathlib import Path

    from slurm.cluster import Cluster

pytestmark = pytest.mark.timeout(600)


def test_a_cell_runs_across_nodes_and_leaves_no_job(place: Workplace, cluster: Cluster) -> None:
    load = {**ladder((20, 2)), "calibration_seconds": 1}
    place.write(load=load, execution=on_slurm())

    code, output = place.run()

    assert code == 0, output
    calibration = read_json(
        place.results / "cells" / place.cells()[0] / "calibration.json", "calibration"
    )
    assert calibration["requests"] == 30  # from the client's node to the service's
    assert calibration["failed"] == 0
    environment = read_json(
        place.results / "cells" / place.cells()[0] / "environment.json", "environment"
    )
    where = environment["allocation"]
    assert where["client_node"] != where["service_nodes"][0]
    assert len(where["service_gpus"]) == GPUS
    assert place.cell()["node"] == where["service_nodes"][0]
    log = pd.read_parquet(place.results / "cells" / place.cells()[0] / "requests.parquet")
    assert len(log) == 20 * 2.5
    assert log.error.isna().all()
    series = pd.read_parquet(place.results / "cells" / place.cells()[0] / "series.parquet")
    nodes = series[series.metric == "node_load1"].labels.unique()
    assert len(nodes) == 2  # one exporter per node, scraped across nodes
    page = (place.results / "report.html").read_text()
    nodes_of = f"{where['service_nodes'][0]} for the service, {where['client_node']} for load"
    assert nodes_of in page
    assert jobs(cluster) == []
    assert place.processes() == []


@pytest.mark.slow
def test_twelve_cells_of_a_lane_share_one_allocation(place: Workplace, cluster: Cluster) -> None:
    two = [deployment("quick"), deployment("slow", ttft_seconds=0.05)]
    place.write(deployments=two, repetitions=6, load=ladder((20, 1)), execution=on_slurm())

    code, output = place.run(timeout=580)

    assert code == 0, output
    assert len(place.cells()) == 12
    held = {
        read_json(folder / "environment.json", "environment")["allocation"]["job"]
        for folder in (place.results / "cells").iterdir()
    }
    assert len(held) == 1
    assert jobs(cluster) == []


@pytest.mark.slow
def test_four_cells_side_by_side_share_nothing(place: Workplace, cluster: Cluster) -> None:
    four = [deployment(name) for name in ("a", "b", "c", "d")]
    place.write(
        deployments=four, load=ladder((10, 3)), execution=on_slurm() | {"parallel_cells": 4}
    )

    code, output = place.run()

    assert code == 0, output
    environments = [
        read_json(folder / "environment.json", "environment")
        for folder in (place.results / "cells").iterdir()
    ]
    assert len({environment["allocation"]["job"] for environment in environments}) == 4
    for folder in (place.results / "cells").iterdir():
        log = pd.read_parquet(folder / "requests.parquet")
        assert log.error.isna().all()
        series = pd.read_parquet(folder / "series.parquet")
        served = series[series.metric == "truth_requests_total"]
        assert len(set(served.labels)) == 1  # each Prometheus scraped its own service only
    assert jobs(cluster) == []


@pytest.mark.slow
def test_a_shared_allocation_is_one_plain_job_with_cores_for_each_side(
    place: Workplace, cluster: Cluster
) -> None:
    shared = on_slurm(topology="shared", all={"partition": "gpu", "cpus": 2, "gpus": 1})
    place.write(load=ladder((20, 2)), execution=shared)

    code, output = place.run()

    assert code == 0, output
    cell = place.results / "cells" / place.cells()[0]
    where = read_json(cell / "environment.json", "environment")["allocation"]
    assert [where["client_node"]] == where["service_nodes"]
    both = len(os.sched_getaffinity(0)) < 2
    assert both or not set(where["client_cpus"]) & set(where["service_cpus"])
    assert jobs(cluster) == []


@pytest.mark.slow
def test_only_the_gpus_of_the_job_are_seen_and_exported(
    place: Workplace, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvml").mkdir()
    machine = Machine(build_library(tmp_path / "nvml"), tmp_path / "nvml", monkeypatch)
    for number in range(4):  # what every node has
        machine.add(memory_total=1 << 34, utilization_percent=10 * number, power_mw=100_000)
    taken = ["sbatch", "--partition=gpu", "--gres=gpu:1", "--nodelist=node2", "--output=/dev/null"]
    cluster.run("login", [*taken, "--wrap", "sleep 300"])  # so that ours are not the first ones
    until(lambda: any("RUNNING" in line for line in jobs(cluster)), 30)
    component = {"partition": "gpu", "cpus": 2, "gpus": GPUS, "extra": ["--nodelist=node2"]}
    place.write(load=ladder((20, 2)), execution=on_slurm(service=component))

    code, output = place.run()

    assert code == 0, output
    cell = place.results / "cells" / place.cells()[0]
    environment = read_json(cell / "environment.json", "environment")
    assert environment["allocation"]["service_gpus"] == ["1", "2"]
    assert [gpu["index"] for gpu in environment["gpus"]] == [1, 2]
    series = pd.read_parquet(cell / "series.parquet")
    exported = series[series.metric == "escalade_gpu_utilization_ratio"].labels.unique()
    assert sorted(json.loads(labels)["gpu"] for labels in exported) == ["1", "2"]


@pytest.mark.slow
def test_two_plain_jobs_serve_where_there_are_no_heterogeneous_ones(
    place: Workplace, cluster: Cluster
) -> None:
    two = [deployment("first"), deployment("second")]
    place.write(deployments=two, load=ladder((20, 2)), execution=on_slurm(topology="pair"))

    code, output = place.run()

    assert code == 0, output
    allocations = [
        read_json(folder / "environment.json", "environment")["allocation"]
        for folder in (place.results / "cells").iterdir()
    ]
    (job,) = {allocation["job"] for allocation in allocations}  # the second cell used them too
    assert len(job.split(",")) == 2
    for allocation in allocations:
        assert len(allocation["service_gpus"]) == GPUS
    assert jobs(cluster) == []
    assert place.processes() == []


@pytest.mark.slow
def test_a_client_of_two_nodes_sends_one_schedule(place: Workplace, cluster: Cluster) -> None:
    load = ladder((40, 2), (60, 2)) | {"workers": 2}
    client = {"partition": "cpu", "cpus": 2, "nodes": 2}
    two = [deployment("first"), deployment("second")]  # the second cell uses the same nodes
    place.write(deployments=two, load=load, execution=on_slurm(client=client))

    code, output = place.run()

    assert code == 0, output
    for cell in (place.results / "cells").iterdir():
        environment = read_json(cell / "environment.json", "environment")["allocation"]
        senders = [node["node"] for node in environment["client_nodes"]]
        assert senders[0] == environment["client_node"]
        assert len({*senders, *environment["service_nodes"]}) == 3
        assert all(
            node["cpus"] and node["host"]["hostname"] for node in environment["client_nodes"]
        )
        for step in read_json(cell / "windows.json", "windows")["steps"]:
            nodes = step["client"]["nodes"]
            assert [(node["node"], node["workers"]) for node in nodes] == [
                (senders[0], [0]),
                (senders[1], [1]),
            ]
            assert 0 < nodes[1]["clock_error_seconds"] < 0.1
        log = pd.read_parquet(cell / "requests.parquet")
        assert log.error.isna().all()
        assert log.worker.tolist() == [index % 2 for index in log["index"]]
        series = pd.read_parquet(cell / "series.parquet")
        assert len(series[series.metric == "node_load1"].labels.unique()) == 3
        assert (cell / "logs" / f"load.{senders[1]}.log").exists()
    page = (place.results / "report.html").read_text()
    assert f"{senders[0]}, {senders[1]} for load, {senders[0]} for Prometheus" in page
    assert jobs(cluster) == []
    assert place.processes() == []


@pytest.mark.slow
def test_pairs_with_and_without_monitoring_and_a_component_run_on_a_cluster(
    place: Workplace, cluster: Cluster
) -> None:
    off, on = {**deployment("off"), "monitoring": False}, deployment("on")
    place.write(
        deployments=[off, on],
        repetitions=2,
        design="paired",
        load=ladder((20, 2)),
        slos=[],
        components=["process_spawn"],
        execution=on_slurm(),
    )

    code, output = place.run(timeout=580)

    assert code == 0, output
    verdicts = read_json(place.results / "verdicts.json", "verdicts")
    assert [pair["order"] for pair in verdicts["pairs"]["pairs"]] == ["AB", "BA"]
    for name in place.cells():
        series = pd.read_parquet(place.results / "cells" / name / "series.parquet")
        assert (len(series) > 0) == name.startswith("on")
        environment = read_json(place.results / "cells" / name / "environment.json", "environment")
        assert environment["allocation"]["client_node"]
    assert "process_spawn" in (place.results / "report.html").read_text()
    assert jobs(cluster) == []
