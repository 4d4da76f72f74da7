"""The configuration says what the registry says, whatever its texts look like."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.monitoring.registry import Registry, Target
from escalade.monitoring.renderer import render

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def test_one_job_holds_its_targets_and_another_path_is_a_label() -> None:
    registry = Registry(
        [Target("node", "b:1"), Target("node", "a:1", "/x", {"rack": "7"}), Target("llm", "c:1")]
    )

    assert yaml.safe_load(render(registry, 0.25)) == {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [
            {"job_name": "llm", "static_configs": [{"targets": ["c:1"]}]},
            {
                "job_name": "node",
                "static_configs": [
                    {"targets": ["a:1"], "labels": {"rack": "7", "__metrics_path__": "/x"}},
                    {"targets": ["b:1"]},
                ],
            },
        ],
    }


@given(job=TEXT, value=TEXT)
def test_any_text_arrives_as_it_is_and_stays_text(job: str, value: str) -> None:
    rendered = render(Registry([Target(job, "h:1", labels={"cell": value})]))

    [found] = yaml.safe_load(rendered)["scrape_configs"]
    assert found["job_name"] == job
    assert found["static_configs"][0]["labels"] == {"cell": value}


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [
        (1, "1s"),
        (0.1, "100ms"),
        (1.5, "1s500ms"),
        (59, "59s"),
        (60, "1m"),
        (61.25, "1m1s250ms"),
        (90, "1m30s"),
        (3600, "1h"),
        (86_400, "1d"),
        (90_000, "25h"),
    ],
)
def test_intervals_are_spelled_as_prometheus_spells_them(seconds: float, spelled: str) -> None:
    assert yaml.safe_load(render(Registry(), seconds))["global"]["scrape_interval"] == spelled


def test_an_interval_below_a_millisecond_is_refused() -> None:
    with pytest.raises(InputError, match=r"0.0001 s is too short"):
        render(Registry(), 0.0001)
