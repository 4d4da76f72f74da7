"""What a site refuses, delays or does by default."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from escalade.files import read_json
from slurm.campaigns import jobs, on_slurm
from slurm.configuration import Site
from workplace import Workplace, ladder, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurm.cluster import Cluster

pytestmark = pytest.mark.timeout(600)


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
def test_of_several_networks_the_one_that_leads_to_the_service_is_used(
    clusters: Callable[..., Cluster], workplace: Workplace
) -> None:
    wired = clusters(Site(nodes=2, cpu_nodes=1, second_network=True))
    if wired.mode != "hosts":
        pytest.skip("hosts of their own need root and namespaces")
    workplace.prefix, workplace.profile = wired.command_prefix(), "slurm"
    workplace.write(load=ladder((20, 2)), execution=on_slurm(interface="ib0"))

    blind, why = workplace.run()
    workplace.write(load=ladder((20, 2)), execution=on_slurm())
    code, output = workplace.run()

    assert blind == 3, why
    assert "can't be reached from the node of Prometheus" in why
    assert "execution.slurm.interface" in why
    assert code == 0, output
