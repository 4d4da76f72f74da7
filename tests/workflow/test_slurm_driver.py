"""A campaign that is driven by jobs: submitted, watched, cancelled, handed on."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from escalade.files import read_json
from slurm.campaigns import jobs, on_slurm
from workplace import Workplace, deployment, ladder, until

if TYPE_CHECKING:
    from slurm.cluster import Cluster

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
ENDED = 300


def submit(place: Workplace) -> str:
    code, output = place.escalade("submit", str(place.config), "--profile", place.profile_path)
    assert code == 0, output
    return output


def status(place: Workplace) -> dict[str, Any]:
    code, output = place.escalade("status", "--json", place.campaign)
    assert code == 0, output
    found: dict[str, Any] = json.loads(output)[0]
    return found


def submitted(place: Workplace) -> list[dict[str, Any]]:
    listed = place.folder / "state" / place.campaign / "submissions.jsonl"
    return [json.loads(line) for line in listed.read_text().splitlines()]


def driver_logs(place: Workplace) -> str:
    logs = sorted((place.results / "logs").glob("driver-*.log"))
    return "\n".join(path.read_text() for path in logs)


def allocations(place: Workplace) -> list[dict[str, Any]]:
    return [
        read_json(place.results / "cells" / cell / "environment.json", "environment")["allocation"]
        for cell in place.cells()
    ]


def test_a_submitted_campaign_runs_in_one_job_and_can_be_watched(
    place: Workplace, cluster: Cluster
) -> None:
    two = [deployment("first"), deployment("second")]
    place.write(deployments=two, load=ladder((10, 2), (20, 2)), execution=on_slurm())

    submit(place)
    place.await_stage("run_load_2")
    seen = status(place)
    watched = place.start("watch", place.campaign)
    refused, why = place.escalade("submit", str(place.config), "--profile", place.profile_path)
    output, _ = watched.communicate(timeout=ENDED)

    assert seen["driver"]["standing"] == "runs"
    assert seen["cells"]["planned"] == 2
    assert seen["active"][0]["cell"].startswith("first")
    assert refused == 2
    assert "escalade watch trial" in why
    assert watched.returncode == 0, output
    assert "step 2/2 at 20 requests/s" in output
    assert "2 of 2 cells measured" in output
    assert (place.results / "report.html").exists(), driver_logs(place)
    assert {where["job"] for where in allocations(place)} == {submitted(place)[0]["job"]}
    assert len(submitted(place)) == 1
    until(lambda: jobs(cluster) == [], 30)
    assert place.processes() == []
    assert status(place)["driver"]["standing"] == "ended"


def test_a_campaign_that_needs_several_jobs_is_handed_on_until_it_is_measured(
    place: Workplace, cluster: Cluster
) -> None:
    three = [deployment(name) for name in ("a", "b", "c")]
    place.write(deployments=three, load=ladder((10, 3)), execution=on_slurm(cells_per_allocation=1))

    submit(place)
    output, _ = place.start("watch", place.campaign).communicate(timeout=2 * ENDED)

    assert "3 of 3 cells measured" in output, output + driver_logs(place)
    listed = submitted(place)
    assert [entry["after"] for entry in listed] == [None, *(e["job"] for e in listed[:-1])]
    assert len({where["job"] for where in allocations(place)}) == 3
    assert (place.results / "report.html").exists()
    until(lambda: jobs(cluster) == [], 30)


def test_a_driver_whose_wall_time_ends_leaves_the_rest_to_a_successor(
    place: Workplace, cluster: Cluster
) -> None:
    two = [deployment("first"), deployment("second")]
    place.write(deployments=two, load=ladder((10, 8)), execution=on_slurm())
    submit(place)
    until(lambda: len(place.cells()) == 1, ENDED)
    until(lambda: sum(e.stage == "run_load_1" for e in place.events()) >= 3, ENDED)

    first = submitted(place)[0]["job"]
    cluster.run("login", ["scancel", "--batch", "--signal=USR1", first])
    output, _ = place.start("watch", place.campaign).communicate(timeout=ENDED)

    assert "2 of 2 cells measured" in output, output + driver_logs(place)
    assert "goes on when this one is over" in driver_logs(place)
    assert len(submitted(place)) == 2
    until(lambda: jobs(cluster) == [] and not place.processes(), 30)


def test_a_cancelled_campaign_leaves_nothing_and_goes_on_later(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(load=ladder((10, 2), (20, 20)), execution=on_slurm())
    submit(place)
    place.await_stage("run_load_2")

    code, output = place.escalade("cancel", place.campaign)

    assert code == 0, output
    until(lambda: jobs(cluster) == [] and not place.processes(), 30)
    assert "Traceback" not in driver_logs(place)
    assert "Interrupted" in driver_logs(place)
    place.write(load=ladder((10, 2)), execution=on_slurm())
    code, output = place.run()
    assert code == 0, output


def test_a_submission_that_waits_tells_its_place_in_the_queue_and_can_be_cancelled(
    place: Workplace, cluster: Cluster
) -> None:
    blocker = ["sbatch", "--nodes=3", "--exclusive", "--wrap", "sleep 100", "--output=/dev/null"]
    cluster.run("login", blocker)
    until(lambda: any("RUNNING" in line for line in jobs(cluster)), 30)
    place.write(
        load=ladder((20, 2)), execution=on_slurm(client={"partition": "cpu", "exclusive": True})
    )
    submit(place)

    waiting = status(place)["driver"]
    code, output = place.escalade("cancel", place.campaign)

    assert waiting["standing"] == "waits"
    assert "number 1 of 1 in partition cpu" in waiting["words"]
    assert code == 0, output
    until(lambda: len(jobs(cluster)) == 1, 30)


def test_a_driver_that_is_killed_takes_its_job_with_it_and_can_be_submitted_again(
    place: Workplace, cluster: Cluster
) -> None:
    two = [deployment("first"), deployment("second")]
    place.write(deployments=two, load=ladder((10, 5)), execution=on_slurm())
    submit(place)
    until(lambda: len(place.cells()) == 1, ENDED)

    (driver,) = [p for p in place.running("escalade", " run ") if "snakemake" not in p.cmdline()]
    driver.send_signal(signal.SIGKILL)

    until(lambda: jobs(cluster) == [] and not place.processes(), 60)
    assert status(place)["driver"]["standing"] == "ended"
    submit(place)
    output, _ = place.start("watch", place.campaign).communicate(timeout=ENDED)
    assert "2 of 2 cells measured" in output, output + driver_logs(place)


def test_a_submitted_pair_drives_from_the_clients_job_and_asks_for_the_services(
    place: Workplace, cluster: Cluster
) -> None:
    two = [deployment("first"), deployment("second")]
    place.write(deployments=two, load=ladder((10, 2)), execution=on_slurm(topology="pair"))

    submit(place)
    output, _ = place.start("watch", place.campaign).communicate(timeout=ENDED)

    assert "2 of 2 cells measured" in output, output + driver_logs(place)
    (job,) = {where["job"] for where in allocations(place)}
    own, beside = job.split(",")
    assert own == submitted(place)[0]["job"]
    assert beside != own
    until(lambda: jobs(cluster) == [], 30)
    assert place.processes() == []
