"""What the executor is told of rules that run as jobs of their own."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from escalade.campaign.cluster import seconds_of
from escalade.campaign.configuration import parse_campaign
from escalade.campaign.plugin import analysis_resources, load_resources
from unit.campaign.builders import campaign, cells

LOAD = {"ladder": [{"target_qps": 1, "window_seconds": 10}]}


def test_analysis_goes_where_the_client_would() -> None:
    client = {"partition": "cpu", "account": "p1", "qos": "short", "reservation": "r"}
    asked = campaign(client={**client, "extra": ["--hint=nomultithread"]})

    resources = analysis_resources(asked)

    assert resources["slurm_partition"] == "cpu"
    assert resources["slurm_account"] == "p1"
    assert resources["qos"] == "short"
    assert resources["slurm_extra"] == "--reservation=r --hint=nomultithread"
    assert resources["cpus_per_task"] == 1


def test_in_a_shared_allocation_it_goes_where_all_goes() -> None:
    asked = campaign(topology="shared", all={"partition": "gpu"})

    assert analysis_resources(asked)["slurm_partition"] == "gpu"


def test_on_one_machine_nothing_is_said() -> None:
    local = parse_campaign(
        {"campaign": "a", "deployments": [{"name": "a", "recipe": "r"}], "load": LOAD}, "my.yaml"
    )

    assert analysis_resources(local) == {}


def test_a_load_step_has_the_time_of_its_cell_and_the_client_s_cpus() -> None:
    asked = campaign(client={"partition": "cpu", "cpus": 8, "memory_mb": 2000})
    run: Any = SimpleNamespace(
        plan=SimpleNamespace(campaign=asked), unfinished=cells(2), load_as_job=True
    )

    assert load_resources(run) == {
        "slurm_partition": "cpu",
        "runtime": math.ceil(seconds_of(cells(1)[0], asked) / 60) + 1,
        "mem_mb": 2000,
        "cpus_per_task": 8,
    }
    run.load_as_job = False
    assert load_resources(run) == {}


def test_the_usual_way_leaves_no_trace_in_the_definition_of_a_cell() -> None:
    content = {"campaign": "a", "deployments": [{"name": "a", "recipe": "r"}], "load": LOAD}

    usual = parse_campaign(content, "my.yaml")
    job = parse_campaign({**content, "load": {**LOAD, "run_as": "job"}}, "my.yaml")

    assert "run_as" not in usual.load.model_dump(mode="json")
    assert job.load.model_dump(mode="json")["run_as"] == "job"
    assert parse_campaign(job.model_dump(mode="json"), "again") == job
