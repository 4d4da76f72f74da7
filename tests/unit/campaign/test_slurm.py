"""What a campaign may and may not ask Slurm for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.plan import plan_campaign
from escalade.errors import InputError
from escalade.runtime.slurm.request import ComponentRequest
from escalade.services.recipes import Recipe
from escalade.services.validation import validated

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign

RECIPE = validated(
    Recipe,
    {
        "name": "own",
        "description": "A service of one's own",
        "version": {"distribution": "escalade"},
        "command": ["{python}", ["--port", "{port}"]],
        "probe": {"path": "/health", "timeout_seconds": 5},
        "workload": {"kind": "plain_http"},
    },
    "own.yaml",
)


def campaign(load: dict[str, Any] | None = None, **execution: Any) -> Campaign:
    content = {
        "campaign": "small",
        "deployments": [{"name": "a", "recipe": "own"}],
        "load": {"ladder": [{"target_qps": 2, "window_seconds": 10}], **(load or {})},
        "execution": execution,
    }
    return parse_campaign(content, "my.yaml")


def refusal(**slurm: Any) -> str:
    with pytest.raises(InputError) as refused:
        campaign(launcher="slurm", slurm=slurm)
    return str(refused.value)


def test_defaults_ask_for_a_split_allocation_with_a_lease_of_five_minutes() -> None:
    slurm = campaign(launcher="slurm").execution.slurm

    assert slurm.topology == "split"
    assert slurm.lease_seconds == 300
    assert slurm.cells_per_allocation == "auto"
    assert slurm.time_limit_seconds is None
    assert slurm.service.request("service") == ComponentRequest("service")


def test_every_key_of_a_component_reaches_the_request() -> None:
    keys = {
        "partition": "gpu",
        "account": "p200000",
        "qos": "short",
        "reservation": "gpudev",
        "constraint": "a&b",
        "nodes": 2,
        "cpus": 8,
        "memory_mb": 0,
        "gpus": 4,
        "gpu_type": "a100",
        "exclusive": True,
        "extra": ["--nodelist=node2", "--hint=nomultithread"],
    }

    service = campaign(launcher="slurm", slurm={"service": keys}).execution.slurm.service

    assert service.request("service") == ComponentRequest(
        **{**keys, "name": "service", "extra": tuple(keys["extra"])}  # type: ignore[arg-type]
    )


def test_without_gpus_their_type_from_the_site_is_not_asked_for() -> None:
    service = campaign(slurm={"service": {"gpus": 0, "gpu_type": "a100"}}).execution.slurm.service

    assert service.request("service").gpu_type is None


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--partition=gpu", "key partition"),
        ("--part=gpu", "key partition"),  # sbatch takes abbreviations
        ("-pgpu", "key partition"),
        ("-A", "key account"),
        ("--time=10", "time_limit_seconds"),
        ("--time-min=10", "time_limit_seconds"),
        ("-t10", "time_limit_seconds"),
        ("-N2", "key nodes"),
        ("--gpus=2", "key gpus"),
        ("--gres=gpu:2", "key gpus"),
        ("--mem-per-cpu=100", "key memory_mb"),
        ("--exclusive", "key exclusive"),
        ("--requeue", "--requeue itself"),
        ("--signal=USR1", "--signal itself"),
        ("--array=1-2", "--array itself"),
        ("-Mother", "--clusters itself"),
        ("--wrap=true", "--wrap itself"),
    ],
)
def test_an_option_that_escalade_sets_itself_is_refused_by_name(option: str, expected: str) -> None:
    message = refusal(client={"extra": ["--hint=nomultithread", option]})

    assert "execution.slurm.client.extra[1]" in message
    assert repr(option) in message
    assert expected in message


@pytest.mark.parametrize(
    "option", ["node2", "-", "--", "", "-x node2", "--comment=a\n#SBATCH -pgpu"]
)
def test_what_is_no_single_option_is_refused(option: str) -> None:
    assert "execution.slurm.all.extra[0]" in refusal(all={"extra": [option]})


@pytest.mark.parametrize("option", ["--nodelist=node2", "--exclude=node1", "-xnode1", "--no-kill"])
def test_options_that_say_where_to_run_are_taken(option: str) -> None:
    slurm = campaign(slurm={"all": {"extra": [option]}}).execution.slurm

    assert slurm.all.extra == (option,)


@pytest.mark.parametrize("value", ["two words", "--gpu", "", "a\nb", "gpu;rm"])
def test_a_partition_that_could_break_a_script_is_refused(value: str) -> None:
    message = refusal(service={"partition": value})

    assert "execution.slurm" in message
    assert "partition" in message


@pytest.mark.parametrize(
    ("slurm", "expected"),
    [
        ({"topologie": "split"}, "topology"),
        ({"topology": "both"}, "'split', 'pair', 'shared' or 'auto'"),
        ({"service": {"gpu": 1}}, "gpus"),
        ({"service": {"nodes": 0}}, "at least 1"),
        ({"service": {"memory_mb": -1}}, "at least 0"),
        ({"time_limit_seconds": 5}, "at least 60"),
        ({"lease_seconds": float("nan")}, "lease_seconds"),
        ({"cells_per_allocation": 0}, "cells_per_allocation"),
        ({"cells_per_allocation": "all"}, "cells_per_allocation"),
        ({"interface": "ib0; true"}, "interface"),
        ({"setup": ["a\nb"]}, "setup[0]"),
    ],
)
def test_a_wrong_key_or_value_is_named(slurm: dict[str, Any], expected: str) -> None:
    message = refusal(**slurm)

    assert "my.yaml" in message
    assert "execution.slurm" in message
    assert expected in message


def name_of_cell(**service: Any) -> str:
    slurm = {"service": {"cpus": 4, **service}}
    return plan_campaign(campaign(launcher="slurm", slurm=slurm), {"own": RECIPE}).cells[0].name


@pytest.mark.parametrize("part", [{"gpus": 4}, {"cpus": 8}, {"nodes": 2}, {"memory_mb": 1000}])
def test_what_the_service_gets_of_a_node_defines_its_cell(part: dict[str, Any]) -> None:
    assert name_of_cell(**part) != name_of_cell()


@pytest.mark.parametrize("part", [{"partition": "gpu"}, {"account": "p1"}, {"qos": "short"}])
def test_where_a_cell_runs_does_not_define_it(part: dict[str, Any]) -> None:
    assert name_of_cell(**part) == name_of_cell()


def name_by_client(workers: int, **slurm: Any) -> str:
    asked = campaign({"workers": workers}, launcher="slurm", slurm=slurm)
    return plan_campaign(asked, {"own": RECIPE}).cells[0].name


def test_how_many_nodes_send_defines_a_cell() -> None:
    assert name_by_client(2, client={"nodes": 2}) != name_by_client(2)
    assert name_by_client(2, client={"nodes": 2, "cpus": 8}) == name_by_client(
        2, client={"nodes": 2}
    )
    assert name_by_client(2, client={"nodes": 1}) == name_by_client(2)
    shared = {"topology": "shared"}  # there the client is on the first node of all
    assert name_by_client(2, client={"nodes": 2}, **shared) == name_by_client(2, **shared)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        ({}, "raise load.workers to 3 or more"),
        ({"workers": 2}, "load.workers is 2"),
        ({"workers": 4, "run_as": "job"}, "leave nodes or run_as out"),
    ],
)
def test_a_node_of_the_client_without_work_is_refused(load: dict[str, Any], expected: str) -> None:
    three = {"client": {"nodes": 3}}

    with pytest.raises(InputError, match=expected):
        campaign(load, launcher="slurm", slurm=three)
    assert campaign(load, slurm=three).execution.client_nodes == 1  # on this machine


def test_a_resolved_local_campaign_says_nothing_about_slurm() -> None:
    assert "slurm" not in campaign().model_dump(mode="json")["execution"]
    assert "slurm" in campaign(launcher="slurm").model_dump(mode="json")["execution"]


def test_a_section_that_was_written_is_kept_whatever_the_launcher() -> None:
    written = campaign(slurm={"topology": "shared"}).model_dump(mode="json")["execution"]

    assert written["slurm"]["topology"] == "shared"
