"""A campaign on a cluster: client and service on nodes of their own, in held jobs."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.files import read_json, sha256_of
from slurm.configuration import Site
from workplace import Workplace, deployment, ladder, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurm.cluster import Cluster

pytestmark = pytest.mark.timeout(600)
GPUS = 2


def on_slurm(**changes: Any) -> dict[str, Any]:
    """Give the section `execution` of a campaign with a component for each side."""
    slurm = {
        "client": {"partition": "cpu", "cpus": 2},
        "service": {"partition": "gpu", "cpus": 2, "gpus": GPUS},
        "queue_timeout_seconds": 60,
        "lease_seconds": 20,
    }
    return {"attempts": 1, "slurm": slurm | changes}


@pytest.fixture
def place(cluster: Cluster, workplace: Workplace) -> Iterator[Workplace]:
    """Give a folder whose commands run on the login host of a cluster."""
    workplace.prefix = cluster.command_prefix()
    workplace.profile = "slurm"
    yield workplace
    cluster.run("login", ["scancel", "--user", "root"], check=False)


def jobs(cluster: Cluster) -> list[str]:
    """Name the jobs that are there, with their states."""
    done = cluster.run("login", ["squeue", "--noheader", "--format=%i %T"], capture_output=True)
    return [line for line in done.stdout.splitlines() if "COMPLETING" not in line]


def await_job(cluster: Cluster) -> str:
    """Wait for a job that runs; give its id."""
    until(lambda: any("RUNNING" in line for line in jobs(cluster)), 60)
    return min(line.split("+")[0].split()[0] for line in jobs(cluster))


def test_a_cell_runs_across_nodes_and_leaves_no_job(place: Workplace, cluster: Cluster) -> None:
    place.write(load=ladder((20, 2)), execution=on_slurm())

    code, output = place.run()

    assert code == 0, output
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
def test_cells_of_a_lane_share_an_allocation(place: Workplace, cluster: Cluster) -> None:
    two = [deployment("quick"), deployment("slow", ttft_seconds=0.05)]
    place.write(deployments=two, repetitions=2, load=ladder((20, 2)), execution=on_slurm())

    code, output = place.run()

    assert code == 0, output
    assert len(place.cells()) == 4
    held = {
        read_json(folder / "environment.json", "environment")["allocation"]["job"]
        for folder in (place.results / "cells").iterdir()
    }
    assert len(held) == 1
    assert jobs(cluster) == []


@pytest.mark.slow
def test_a_job_that_is_cancelled_in_a_step_is_told_and_the_next_run_completes(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 8)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_2")

    cluster.run("login", ["scancel", await_job(cluster)])
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 3, output
    assert "CANCELLED" in output
    assert "Traceback" not in output
    assert place.processes() == []
    code, output = place.run()
    assert code == 0, output


@pytest.mark.slow
def test_after_a_kill_of_the_driver_no_job_is_left_and_finished_cells_stay(
    place: Workplace, cluster: Cluster
) -> None:
    two = [deployment("first"), deployment("second")]
    place.write(deployments=two, load=ladder((20, 3)), execution=on_slurm())
    child = place.drive()
    until(lambda: len(place.cells()) == 1, 200)
    kept = sha256_of(place.results / "cells" / place.cells()[0] / "requests.parquet")
    until(lambda: sum(e.stage == "run_load_1" for e in place.events()) >= 3, 200)

    os.killpg(child.pid, signal.SIGKILL)

    until(lambda: jobs(cluster) == [] and not place.processes(), 40)
    code, output = place.run()
    assert code == 0, output
    first = place.cells()[0]
    assert sha256_of(place.results / "cells" / first / "requests.parquet") == kept


@pytest.mark.slow
def test_a_refused_job_is_told_in_slurms_words(place: Workplace, cluster: Cluster) -> None:
    wrong = {"partition": "nowhere", "cpus": 2}
    place.write(load=ladder((20, 2)), execution=on_slurm(service=wrong))

    code, output = place.run()

    assert code != 0
    assert "nowhere" in output or "partition" in output
    assert "Traceback" not in output
    assert jobs(cluster) == []


@pytest.mark.slow
def test_a_job_that_stays_queued_is_cancelled_with_the_reason(
    place: Workplace, cluster: Cluster
) -> None:
    blocked = on_slurm(queue_timeout_seconds=4, client={"partition": "cpu", "exclusive": True})
    place.write(load=ladder((20, 2)), execution=blocked)
    cluster.run(
        "login", ["sbatch", "--nodes=3", "--exclusive", "--wrap", "sleep 100", "--output=/dev/null"]
    )
    until(lambda: any("RUNNING" in line for line in jobs(cluster)), 30)

    code, output = place.run()

    assert code == 3, output
    assert "still queued after 4 s" in output
    assert len(jobs(cluster)) == 1


@pytest.mark.slow
def test_a_node_that_goes_down_fails_its_cell_and_the_next_run_uses_another(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 10)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_2")
    service = place.cell_states("allocation")[0]["services"][0]["node"]

    cluster.set_node_down(service)
    try:
        output, _ = child.communicate(timeout=200)
        assert child.returncode == 3, output
        assert "NODE_FAIL" in output
        assert "Traceback" not in output
        until(lambda: jobs(cluster) == [], 60)
        code, output = place.run()
    finally:
        cluster.resume_node(service)
    assert code == 0, output
    assert place.cell()["node"] != service


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
def test_a_controller_that_is_away_for_a_while_costs_nothing(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 12)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_2")

    cluster.stop_controller()
    time.sleep(8)
    cluster.start_controller()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    assert place.cell()["outcome"] == "finished"


@pytest.mark.slow
def test_a_site_that_pins_steps_gives_them_the_cores_of_the_plan(
    clusters: Callable[..., Cluster], workplace: Workplace
) -> None:
    cores = os.cpu_count() or 1
    pinning = clusters(Site(affinity=True, cpus=cores))
    workplace.prefix, workplace.profile = pinning.command_prefix(), "slurm"
    whole = {"client": {"cpus": cores}, "service": {"cpus": cores, "gpus": 1, "partition": "gpu"}}
    workplace.write(load=ladder((20, 2)), execution=on_slurm(**whole))

    code, output = workplace.run()

    assert code == 0, output
    cell = workplace.results / "cells" / workplace.cells()[0]
    where = read_json(cell / "environment.json", "environment")["allocation"]
    assert where["client_cpus"] == where["service_cpus"] == sorted(os.sched_getaffinity(0))


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
def test_a_job_that_hits_its_time_limit_is_told(place: Workplace, cluster: Cluster) -> None:
    place.write(load=ladder((5, 200)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_1")

    job = await_job(cluster)
    cluster.run("login", ["scontrol", "update", f"JobId={job}", "TimeLimit=1"])
    output, _ = child.communicate(timeout=300)

    assert child.returncode == 3, output
    assert "TIMEOUT" in output
    assert place.processes() == []


@pytest.mark.slow
def test_a_service_that_dies_on_its_node_leaves_what_was_sent_until_then(
    place: Workplace, cluster: Cluster
) -> None:
    mortal = deployment("mortal", die_after_requests=30)
    place.write(deployments=[mortal], load=ladder((10, 2), (20, 3)), execution=on_slurm())

    code, output = place.run()

    assert code == 3, output
    assert [step["outcome"] for step in place.steps()] == ["measured", "service_failed"]
    assert "exited with code" in place.cell()["cause"]
    log = pd.read_parquet(place.results / "cells" / place.cells()[0] / "requests.parquet")
    assert (log[log.step == 2].status == 200).any()  # the load generator wrote what it had
    assert jobs(cluster) == []
