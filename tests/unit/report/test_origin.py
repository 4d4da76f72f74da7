"""Where the figures come from: the node of the service, and the client's where it has one."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.report.sections.machines import _comparable, _machine_facts, _models, _nodes

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


SHA256, DIGEST = "ab" * 32, f"sha256:{'0f' * 32}"


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (
            {
                "version": "0.3.2",
                "binary": {"path": "/usr/bin/python3", "sha256": SHA256},
            },
            f"no image: runs from /usr/bin/python3 0.3.2, SHA-256 {SHA256}",
        ),
        (
            {"binary": {"path": "serve", "sha256": None, "why": "it can't be read (denied)"}},
            "no image: runs from serve, digest not recorded (it can't be read (denied))",
        ),
        (
            {
                "image": {
                    "reference": "/i/vllm.sif",
                    "sha256": SHA256,
                    "source": "docker://vllm/vllm-openai:v0.8.4",
                }
            },
            f"/i/vllm.sif, SHA-256 {SHA256}; built from docker://vllm/vllm-openai:v0.8.4",
        ),
        (
            {"image": {"reference": f"docker://vllm@{DIGEST}", "digest": DIGEST}},
            f"docker://vllm@{DIGEST}, digest {DIGEST}",
        ),
        (
            {"image": {"reference": "docker://vllm:1", "digest": None, "why": "a tag"}},
            "docker://vllm:1, digest not recorded (a tag)",
        ),
        ({"argv": ["apptainer", "exec", "/i/vllm.sif"]}, "/i/vllm.sif, digest not recorded"),
        ({"argv": ["llama-server"]}, "not recorded"),  # of an earlier release
    ],
)
def test_what_the_service_ran_from_is_told_with_its_digest(
    service: dict[str, Any], expected: str
) -> None:
    assert dict(_machine_facts({"service": service}))["Image"] == expected


def test_of_a_service_that_was_there_already_no_image_is_known() -> None:
    told = dict(_machine_facts({"service": {"external_url": "http://host:8000"}}))

    assert "Image" not in told
    assert told["Service command"].startswith("not started by Escalade")


def test_a_model_without_a_hash_says_so() -> None:
    table = _models({"service": {"models": [{"name": "a", "sha256": SHA256}, {"name": "b"}]}})

    assert [row[-1] for row in table.rows] == [SHA256, "not recorded"]
