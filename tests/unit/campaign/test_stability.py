"""The section `stability` of a configuration."""

from __future__ import annotations

from escalade.campaign.configuration import parse_campaign
from unit.campaign.test_models import configuration, refusal


def test_an_empty_section_asks_with_the_defaults() -> None:
    campaign = parse_campaign(configuration(stability={}), "my.yaml")

    assert campaign.stability is not None
    assert campaign.model_dump()["stability"]["least_seconds"] == 3600
    assert "stability" not in parse_campaign(configuration(), "my.yaml").model_dump()


def test_a_negative_growth_is_refused() -> None:
    message = refusal(configuration(stability={"memory_per_hour": -1}))

    assert "stability.memory_per_hour: -1 is not accepted; expected at least 0" in message
