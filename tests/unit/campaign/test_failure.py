"""A kill in the configuration: what it may say."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.campaign.configuration import parse_campaign, recipes_of
from escalade.campaign.plan import plan_campaign
from unit.campaign.test_models import configuration, refusal

LADDER = {"ladder": [{"target_qps": rate, "window_seconds": 10} for rate in (2, 4)]}


def kill(**failure: Any) -> dict[str, Any]:
    return configuration(load=LADDER, failure={"step": 2, "at_seconds": 3, **failure})


def test_it_is_kept_as_it_was_written_and_defines_the_cell() -> None:
    with_it = parse_campaign(kill(restart_after_seconds=1), "my.yaml")
    without = parse_campaign(configuration(load=LADDER), "my.yaml")

    assert with_it.model_dump()["failure"] == {
        "step": 2,
        "at_seconds": 3,
        "restart_after_seconds": 1,
    }
    assert "failure" not in without.model_dump()
    names = [
        plan_campaign(campaign, recipes_of(campaign, "my.yaml")).cells[0].name
        for campaign in (with_it, without)
    ]
    assert names[0] != names[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (kill(step=3), "failure.step is 3, and the ladder has 2"),
        (kill(at_seconds=10), "failure.at_seconds is 10, and the window of step 2 lasts 10 s"),
        (kill(step=1), "leaves the service dead after step 1, and the ladder has 2"),
        (kill(at_seconds=-1), "failure.at_seconds: -1 is not accepted; expected at least 0"),
        (kill(replica=2), "failure.replica is 2, and deployment 'a' has replicas: 1"),
        (
            kill()
            | {
                "load": {"search": {"start_qps": 5}},
                "slos": [{"name": "s", "metric": "latency_seconds", "limit": 1}],
            },
            "the steps of a search are not known beforehand; give a ladder",
        ),
    ],
)
def test_what_does_not_fit_is_refused(content: dict[str, Any], said: str) -> None:
    assert said in refusal(content)
