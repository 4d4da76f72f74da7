"""What happens to a campaign on a cluster when something is lost in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import sha256_of
from slurm.campaigns import await_job, jobs, on_slurm
from slurm.configuration import Site
from workplace import Workplace, deployment, ladder, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm.cluster import Cluster

pytestmark = pytest.mark.timeout(600)


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
    assert "1 attempt came to nothing: 0.0" in output  # node-hours


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
def test_a_controller_that_is_away_for_a_while_costs_nothing(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 24)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_2")

    cluster.stop_controller()
    time.sleep(20)
    cluster.start_controller()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    assert place.cell()["outcome"] == "finished"


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


@pytest.mark.slow
def test_a_service_whose_step_is_cancelled_is_a_service_that_died(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 8)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_2")
    steps = cluster.run("login", ["squeue", "--steps", "--noheader", "--format=%i %j"]).stdout
    (service,) = [line.split()[0] for line in steps.splitlines() if line.endswith(" service")]

    cluster.run("login", ["scancel", service])
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 3, output
    assert [step["outcome"] for step in place.steps()] == ["measured", "service_failed"]
    assert jobs(cluster) == []
    code, output = place.run("--retry-failed")
    assert code == 0, output


@pytest.mark.slow
def test_the_loss_of_the_client_s_component_ends_the_whole_allocation(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 8)), execution=on_slurm())
    child = place.drive()
    place.await_stage("run_load_2")

    cluster.run("login", ["scancel", f"{await_job(cluster)}+0"])
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 3, output
    assert "CANCELLED" in output
    assert "Traceback" not in output
    assert jobs(cluster) == []
    assert place.processes() == []


@pytest.mark.slow
def test_a_preempted_job_is_told_and_the_next_run_completes(
    clusters: Callable[..., Cluster], workplace: Workplace
) -> None:
    busy = clusters(Site(nodes=2, preemption="CANCEL"))
    workplace.prefix, workplace.profile = busy.command_prefix(), "slurm"
    workplace.write(load=ladder((10, 2), (20, 15)), execution=on_slurm())
    child = workplace.drive()
    workplace.await_stage("run_load_2")

    urgent = ["sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive"]
    whole = busy.run("login", [*urgent, "--output=/dev/null", "--wrap", "sleep 300"]).stdout.strip()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 3, output
    assert "PREEMPTED" in output
    assert "Traceback" not in output
    busy.run("login", ["scancel", whole])
    code, output = workplace.run()
    assert code == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["client", "srun"])
def test_a_node_of_the_client_that_is_lost_costs_its_step_and_leaves_nothing(
    place: Workplace, cluster: Cluster, victim: str
) -> None:
    two = on_slurm(client={"partition": "cpu", "cpus": 2, "nodes": 2})
    load = ladder((10, 2), (20, 30), (30, 2)) | {"workers": 2}
    place.write(load=load, execution=two)
    child = place.drive()
    place.await_stage("run_load_2")
    until(lambda: place.sent() >= 40, 60)
    _, node = (client["node"] for client in place.cell_states("allocation")[0]["clients"])
    step = place.running("escalade.runtime.slurm.frame", f"/nodes/{node}", '"load"')
    (frame,) = (process for process in step if process.name() != "srun")
    srun = next(process for process in step if process.name() == "srun")  # the first of its two
    (forks,) = frame.children()

    (forks if victim == "client" else srun).kill()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    assert [step["outcome"] for step in place.steps()] == ["measured", "client_failed", "measured"]
    assert f"the load generator on {node} " in place.steps()[1]["cause"]
    log = pd.read_parquet(place.results / "cells" / place.cells()[0] / "requests.parquet")
    assert len(log[log.step == 2]) == 20 * 30.5
    assert jobs(cluster) == []
    assert place.processes() == []
