"""What a workload may and may not say, and that what it leaves out changes no cell."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.campaign.configuration import parse_campaign
from unit.campaign.test_models import configuration, refusal

MIX = [
    {"share": 0.7, "output_tokens": 8, "prompts": "p.jsonl"},
    {"share": 0.3, "kind": "openai_embeddings", "request_timeout_seconds": 5},
]


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
        (
            {"kind": "openai_embeddings", "conversation": {"turns": 2}},
            "conversation needs the kind openai_chat",
        ),
        ({"conversation": {"turns": 0}}, "turns"),
        ({"conversation": {"turns": 2, "think_seconds": -1}}, "think_seconds"),
        ({"conversation": {"turns": 2, "think_seconds": {"fixed": 1, "exponential": 2}}}, "one of"),
        ({"mix": [{"share": 1}]}, "mix"),
        ({"mix": [{"share": 1}, {"share": 2}]}, "give name to openai_chat"),
        ({"mix": MIX, "output_tokens": 5}, "move output_tokens there"),
        ({"mix": [MIX[0] | {"share": 0}, MIX[1]]}, "share"),
        (
            {
                "mix": [
                    {"share": 1, "kind": "a/mine.py"},
                    {"share": 1, "kind": "b/mine.py", "name": "b"},
                ]
            },
            "rename a/mine.py",
        ),
    ],
)
def test_what_can_not_be_sent_is_refused(keys: dict[str, Any], said: str) -> None:
    assert said in refusal(workload(**keys))


def test_a_mix_has_the_defaults_of_a_workload_in_each() -> None:
    campaign = parse_campaign(workload(mix=MIX), "my.yaml")

    chat, embedding = campaign.workload.parts
    assert campaign.workload.mix is not None
    assert [part.name for part in campaign.workload.mix] == ["openai_chat", "openai_embeddings"]
    assert (chat.kind, chat.request_timeout_seconds) == ("openai_chat", 60.0)
    assert embedding.drawn == {
        "name": "openai_embeddings",
        "share": 0.3,
        "input_tokens": 32,
        "output_tokens": 16,
    }
    assert set(dumped(mix=MIX)) == {"mix"}
    again = parse_campaign(configuration(workload=dumped(mix=MIX)), "my.yaml")
    assert again.workload == campaign.workload


def test_an_objective_names_a_workload_of_the_mix() -> None:
    slo = {"name": "s", "metric": "latency_seconds", "limit": 1, "workload": "openai_chat"}
    campaign = parse_campaign(workload(mix=MIX) | {"slos": [slo]}, "my.yaml")

    assert campaign.slos[0].workload == "openai_chat"
    assert "there is no mix" in refusal(configuration(slos=[slo]))
    assert "openai_embeddings" in refusal(workload(mix=MIX) | {"slos": [slo | {"workload": "x"}]})


@pytest.mark.parametrize(
    ("think", "drawn"),
    [
        (2, 2.0),
        ({"fixed": 2}, 2.0),
        ({"uniform": [1, 9]}, {"uniform": [1.0, 9.0]}),
        ({"exponential": 5}, {"exponential": 5.0}),
        ({"values": [2, 30]}, {"values": [2.0, 30.0]}),
    ],
)
def test_a_conversation_is_given_on_as_it_is_drawn(think: Any, drawn: Any) -> None:
    campaign = parse_campaign(
        workload(conversation={"turns": 3, "think_seconds": think}), "my.yaml"
    )
    request = campaign.workload

    assert request.conversation_drawn(None) == {"turns": 3, "think_seconds": drawn}
    again = parse_campaign(configuration(workload=request.model_dump(mode="json")), "my.yaml")
    assert again.workload.conversation == request.conversation


def test_turns_come_from_the_campaign_or_from_scripts() -> None:
    drawn = parse_campaign(workload(conversation={}), "my.yaml").workload
    assert drawn.conversation_drawn([3, 1]) == {"scripts": [3, 1], "think_seconds": 1.0}
    with pytest.raises(ValueError, match="either turns"):
        drawn.conversation_drawn(None)

    both = parse_campaign(workload(conversation={"turns": 2}), "my.yaml").workload
    with pytest.raises(ValueError, match="either turns"):
        both.conversation_drawn([3, 1])
    with pytest.raises(ValueError, match=r"need workload\.conversation"):
        parse_campaign(workload(), "my.yaml").workload.conversation_drawn([3, 1])
