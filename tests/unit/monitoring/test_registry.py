"""Targets are refused when Prometheus would refuse, rename or count them twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InputError
from escalade.monitoring.registry import Registry, Target

if TYPE_CHECKING:
    from pathlib import Path

NODE = Target("node", "127.0.0.1:9100")


def test_targets_are_ordered_whatever_the_order_of_adding() -> None:
    service = Target("service", "[::1]:8000", "/v1/metrics", {"model": "a"})

    assert Registry([service, NODE]).targets == Registry([NODE, service]).targets


def test_a_page_is_a_target_once_under_whatever_job() -> None:
    registry = Registry([NODE])

    registry.add(Target("node", "127.0.0.1:9100", "/other"))
    with pytest.raises(InputError, match=r"127.0.0.1:9100/metrics is a target already, of job 'n"):
        registry.add(Target("host", "127.0.0.1:9100"))


def test_a_removed_target_can_be_added_again() -> None:
    registry = Registry([NODE])

    registry.remove(NODE)
    assert registry.targets == ()
    registry.add(NODE)
    assert registry.targets == (NODE,)


def test_removing_what_is_not_there_lists_what_is() -> None:
    with pytest.raises(InputError, match=r"no target of job 'x'. Targets: node 127.0.0.1:9100"):
        Registry([NODE]).remove(Target("x", "127.0.0.1:9100"))


@pytest.mark.parametrize(
    "address", ["", "host", "host:", "host:0", "host:65536", "http://h:1", "::1:80", "h:1/x", "ü:1"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(InputError, match="expected an address as in"):
        Target("node", address)


@pytest.mark.parametrize("path", ["metrics", "", "/a b", "/x?y", "/x\n"])
def test_a_path_begins_with_a_slash_and_has_no_query(path: str) -> None:
    with pytest.raises(InputError, match="is not one as in /metrics"):
        Target("node", "h:1", path)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"1st": "a"}, "can't name a label"),
        ({"a-b": "a"}, "can't name a label"),
        ({"__address__": "a"}, "can't name a label"),
        ({"job": "a"}, "is taken: it is the target's job"),
        ({"le": "a"}, "is taken: histograms use it"),
        ({"cell": ""}, "drops a label without one"),
        ({"cell": 3}, "has the value 3; expected text"),
        ({"cell": "\udcff"}, "expected text"),
    ],
)
def test_labels_that_prometheus_would_not_keep_are_refused(
    labels: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        Target("node", "h:1", labels=labels)


def test_a_registry_survives_its_file(tmp_path: Path) -> None:
    registry = Registry([NODE, Target("service", "h:1", "/m", {"model": 'a"\\ü'})])

    registry.write(tmp_path / "targets.json")

    assert Registry.read(tmp_path / "targets.json").targets == registry.targets


@pytest.mark.parametrize("content", ["{}", "[]", '{"targets": [1]}', '{"targets": [{"job": "a"}]}'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "targets.json").write_text(content)

    with pytest.raises(InputError, match=r"targets.json is not a list of targets"):
        Registry.read(tmp_path / "targets.json")
