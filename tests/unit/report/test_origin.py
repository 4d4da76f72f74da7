"""Where the figures come from: the node of the service, and the client's where it has one."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.report.sections.origin import _comparable, _nodes

NODE = {"hostname": "laptop"}


@pytest.mark.parametrize(
    ("allocation", "expected"),
    [
        ({}, "laptop"),
        ({"client_node": "laptop", "service_nodes": ["laptop"]}, "laptop"),
        (
            {"client_node": "mel1", "service_nodes": ["mel2"]},
            "mel2 for the service, mel1 for load and Prometheus",
        ),
        (
            {"client_node": "mel1", "service_nodes": ["mel2", "mel3"]},
            "mel2, mel3 for the service, mel1 for load and Prometheus",
        ),
        (
            {
                "client_node": "mel1",
                "client_nodes": [{"node": "mel1"}, {"node": "mel4"}],
                "service_nodes": ["mel2"],
            },
            "mel2 for the service, mel1, mel4 for load, mel1 for Prometheus",
        ),
    ],
)
def test_the_nodes_are_named_with_what_they_did(allocation: dict[str, Any], expected: str) -> None:
    assert _nodes(NODE, allocation) == expected


def test_two_jobs_on_the_same_nodes_are_the_same_machine() -> None:
    first, second = (
        _comparable({"node": NODE, "allocation": {"client_node": "mel1", "job": job}})
        for job in ("11", "12")
    )

    assert first == second
