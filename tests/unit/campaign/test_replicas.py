"""Copies of a service in the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.campaign.configuration import parse_campaign, recipes_of, resolve_campaign
from escalade.campaign.plan import plan_campaign
from escalade.errors import InputError
from unit.campaign.test_models import configuration, refusal


def with_copies(recipe: str = "truth_server", **changes: Any) -> dict[str, Any]:
    return configuration(deployments=[{"name": "a", "recipe": recipe, **changes}])


def cell_name(content: dict[str, Any]) -> str:
    campaign = parse_campaign(content, "my.yaml")
    return plan_campaign(campaign, recipes_of(campaign, "my.yaml")).cells[0].name


def test_one_copy_is_not_written_down_and_leaves_cells_as_they_were() -> None:
    usual = with_copies(replicas=1, failover=False)

    (dumped,) = parse_campaign(usual, "my.yaml").model_dump(mode="json")["deployments"]

    assert not {"replicas", "failover"} & dumped.keys()
    assert cell_name(usual) == cell_name(configuration())


def test_several_define_the_cell() -> None:
    names = {
        cell_name(content)
        for content in (
            configuration(),
            with_copies(replicas=2),
            with_copies(replicas=2, failover=True),
        )
    }

    assert len(names) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (with_copies(replicas=0), "expected at least 1"),
        (with_copies(failover=True), "no other copy to turn to; give replicas: 2 or more"),
        (
            with_copies(replicas=2) | {"failure": {"step": 1, "at_seconds": 1, "replica": 3}},
            "failure.replica is 3, and deployment 'a' has replicas: 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(content: dict[str, Any], said: str) -> None:
    assert said in refusal(content)


@pytest.mark.parametrize(
    ("recipe", "given", "why"),
    [
        ("pgvector", {}, "put into it before the load would be in one copy only"),
        ("pgvector_external", {"url": "postgresql://h/d"}, "there already and not started here"),
        ("s3", {"url": "http://h:9000"}, "there already and not started here"),
        ("nanio", {}, "put into it before the load would be in one copy only"),
    ],
)
def test_stores_and_services_that_are_there_have_no_copies(
    recipe: str, given: dict[str, Any], why: str
) -> None:
    content = with_copies(recipe, replicas=2, parameters=given)
    content |= {"workload": {"kind": "plain_http"}}

    with pytest.raises(InputError, match=f"deployment 'a': replicas is 2, .*{why}"):
        resolve_campaign(content, "my.yaml")
