"""What a workload may and may not say, and that what it leaves out changes no cell."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.campaign.configuration import parse_campaign
from unit.campaign.test_models import configuration, refusal


def workload(**keys: Any) -> dict[str, Any]:
    return configuration(workload=keys)


def dumped(**keys: Any) -> dict[str, Any]:
    return dict(parse_campaign(workload(**keys), "my.yaml").workload.model_dump(mode="json"))


def test_keys_at_their_default_are_not_in_what_defines_a_cell() -> None:
    assert set(dumped()) == {
        "kind",
        "input_tokens",
        "output_tokens",
        "request_timeout_seconds",
        "parameters",
    }
    assert "abandon" in dumped(abandon={"share": 0.1, "after_tokens": 5})


def test_an_abandonment_is_given_on_as_it_is_drawn() -> None:
    campaign = parse_campaign(workload(abandon={"share": 0.1, "after_seconds": 2}), "my.yaml")

    assert campaign.workload.abandon is not None
    assert campaign.workload.abandon.drawn == {"share": 0.1, "after_seconds": 2.0}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"abandon": {"share": 0.1}}, "after_tokens and after_seconds"),
        ({"abandon": {"share": 0, "after_tokens": 5}}, "share"),
        (
            {"kind": "plain_http", "abandon": {"share": 0.5, "after_tokens": 5}},
            "write after_seconds",
        ),
    ],
)
def test_what_can_not_be_sent_is_refused(keys: dict[str, Any], said: str) -> None:
    assert said in refusal(workload(**keys))
