"""What a site refuses, delays or does by default."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import yaml

from escalade.files import read_json
from escalade.monitoring.archive import open_archive
from slurm import accounting
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
def test_nodes_that_are_ports_of_one_machine_serve_as_well(
    clusters: Callable[..., Cluster], workplace: Workplace
) -> None:
    plain = clusters(mode="ports")
    workplace.prefix, workplace.profile = plain.command_prefix(), "slurm"
    workplace.write(load=ladder((20, 2), (40, 1)), execution=on_slurm())

    code, output = workplace.run()

    assert code == 0, output
    cell = workplace.results / "cells" / workplace.cells()[0]
    where = read_json(cell / "environment.json", "environment")["allocation"]
    assert where["client_node"] != where["service_nodes"][0]
    assert [step["outcome"] for step in workplace.steps()] == ["measured", "measured"]
    assert jobs(plain) == []
    assert workplace.processes() == []


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


@pytest.mark.slow
def test_account_and_qos_of_the_site_are_used_and_a_wrong_one_is_told(
    clusters: Callable[..., Cluster], workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = clusters(Site(nodes=2, accounting=True))
    site = {
        "site": "strict",
        "account": accounting.ACCOUNT,
        "qos": "dev",
        "required": ["account", "qos"],
        "limits": {"qos": {"dev": {"max_jobs": 1, "max_nodes": 1, "max_hours": 6}}},
    }
    described = workplace.folder / "site.yaml"
    monkeypatch.setenv("ESCALADE_SITE", str(described))
    workplace.prefix, workplace.profile = strict.command_prefix(), "slurm"
    small = {"gpus": 0, "partition": "cpu"}
    execution = on_slurm(topology="auto", client=small, service={**small, "cpus": 2})

    outputs = {}
    for account in (accounting.FOREIGN_ACCOUNT, accounting.ACCOUNT):
        described.write_text(yaml.safe_dump({**site, "account": account}))
        workplace.write(load=ladder((20, 2)), execution=execution)
        outputs[account] = workplace.run()

    code, why = outputs[accounting.FOREIGN_ACCOUNT]
    assert code == 3, why
    assert "Invalid account" in why
    assert "sacctmgr show associations" in why
    code, output = outputs[accounting.ACCOUNT]
    assert code == 0, output  # one job, since the QOS allows no more
    held = read_json(
        workplace.results / "cells" / workplace.cells()[0] / "environment.json", "environment"
    )["allocation"]
    query = ["sacct", "-X", "--noheader", "--parsable2", f"--jobs={held['job']}"]
    until(
        lambda: (
            strict.run("login", [*query, "--format=Account,QOS"]).stdout
            == f"{accounting.ACCOUNT}|dev\n"
        ),
        30,
    )


@pytest.mark.slow
def test_prometheus_keeps_its_data_on_the_node_s_own_disk_where_the_site_names_it(
    place: Workplace, cluster: Cluster
) -> None:
    if cluster.mode != "hosts":
        pytest.skip("hosts of their own need root and namespaces")
    place.write(load=ladder((20, 2)), execution=on_slurm(local_folder=str(cluster.local)))

    code, output = place.run()

    assert code == 0, output
    cell = place.results / "cells" / place.cells()[0]
    environment = read_json(cell / "environment.json", "environment")
    assert environment["prometheus"]["data"].startswith(str(cluster.local))
    assert (open_archive(cell / "tsdb.tar.zst", place.folder / "opened") / "wal").is_dir()
    for node in cluster.nodes:
        assert cluster.run(node, ["ls", str(cluster.local)]).stdout == ""
