"""Components as a user writes them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InputError
from escalade.services.validation import validated
from escalade.suites.components import (
    Component,
    ComponentList,
    Metric,
    metrics_of,
    named,
    read_components,
)
from escalade.suites.shipped import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path


def parsed(*entries: Any) -> tuple[Component, ...]:
    return validated(ComponentList, {"components": list(entries)}, "my.yaml").components


def own(**more: Any) -> Component:
    return Component(**{"name": "mine", "command": ("bench",), **more})


def test_a_shipped_component_needs_no_more_than_its_name() -> None:
    (spawn,) = parsed("process_spawn")

    assert spawn.shipped is SHIPPED["process_spawn"]
    assert (spawn.iterations, spawn.warmup_seconds) == (1000, 10.0)  # the standards
    assert spawn.argv == (
        *(sys.executable, "-m", "escalade.suites.programs.process_spawn"),
        *("--iterations", "1000", "--least-seconds", "2", "--warmup-seconds", "10"),
    )
    assert spawn.warms_up_itself


def test_a_warm_up_by_iterations_is_counted_by_the_runner() -> None:
    (spawn,) = parsed({"name": "process_spawn", "warmup_iterations": 5})

    assert not spawn.warms_up_itself
    assert "--iterations" not in spawn.argv  # it prints until it is ended


def test_one_kind_may_run_under_several_names() -> None:
    small, large = parsed(
        {"name": "small", "kind": "memory_copy_host", "parameters": {"bytes": 4096}},
        {"name": "large", "kind": "memory_copy_host"},
    )

    assert small.argv[3:7] == ("--route", "host", "--bytes", "4096")
    assert large.argv[3:7] == ("--route", "host", "--bytes", str(64 * 2**20))
    assert small.definition_hash != large.definition_hash


def test_a_definition_does_not_hang_on_name_or_patience() -> None:
    plain = own()

    assert plain.definition_hash == own(name="other", timeout_seconds=1).definition_hash
    assert plain.definition_hash != own(iterations=10).definition_hash


def test_a_definition_spells_out_defaults() -> None:
    (bare,) = parsed("memory_copy_host")
    (told,) = parsed({"name": "memory_copy_host", "parameters": {"bytes": 64 * 2**20}})

    assert bare.definition_hash == told.definition_hash


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("proces_spawn", "Did you mean 'process_spawn'"),
        ({"name": "mine"}, "is no shipped component, and there is no command"),
        ({"name": "mine", "command": []}, "at least 1"),
        ({"name": "mine", "command": ["a"], "kind": "process_spawn"}, "leave either out"),
        ({"name": "process_spawn", "values": {"a": {}}}, "are for a command of your own"),
        ({"name": "memory_copy_host", "parameters": {"byte": 1}}, "Did you mean 'bytes'"),
        ({"name": "memory_copy_host", "parameters": {"bytes": 0}}, "a whole number above 0"),
        ({"name": "vector_query", "parameters": {"distance": "far"}}, "one of l2, cosine"),
        ({"name": "mine", "command": ["a"], "pattern": "("}, "is no regular expression"),
        ({"name": "mine", "command": ["a"], "pattern": "x"}, "has no named group"),
        (
            {"name": "mine", "command": ["a"], "pattern": "(?P<ms>x)", "values": {"s": {}}},
            "the pattern has no such group",
        ),
        ({"name": "mine", "command": ["a"], "iterations": 0}, "expected at least 1"),
        ({"name": "mine", "command": ["a"], "iteration": 5}, "unknown key"),
        ({"name": "../x", "command": ["a"]}, "is not accepted"),
    ],
)
def test_what_is_wrong_is_named(entry: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parsed(entry)


def test_names_have_to_differ() -> None:
    with pytest.raises(InputError, match="twice there: process_spawn"):
        parsed("process_spawn", "process_spawn")


def test_an_unknown_name_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(InputError, match=r"no component 'memory'.*memory_copy_host"):
        named(["memory"])


def test_units_follow_the_ends_of_names() -> None:
    keys = ["latency_seconds", "bytes_per_second", "IOPS", "jobs.read_bytes"]

    assert metrics_of(own(), keys) == [
        Metric("latency_seconds", "s", "latency_seconds"),
        Metric("bytes_per_second", "bytes/s", "bytes_per_second", 1.0, "higher"),
        Metric("iops", "", "IOPS"),
        Metric("jobs_read_bytes", "bytes", "jobs.read_bytes"),
    ]


def test_declared_values_choose_scale_and_direct() -> None:
    told = own(
        values={
            "latency_seconds": {"key": "lat_ms", "scale": 0.001},
            "score": {"better": "higher", "unit": "points"},
        }
    )

    assert metrics_of(told, ["lat_ms", "score", "more"]) == [
        Metric("latency_seconds", "s", "lat_ms", 0.001),
        Metric("score", "points", "score", 1.0, "higher"),
    ]
    with pytest.raises(InputError, match=r"lacks 'lat_ms'; it prints: score"):
        metrics_of(told, ["score"])


def test_a_plain_number_takes_the_one_declared_name() -> None:
    assert metrics_of(own(values={"rate_per_second": {}}), [""]) == [
        Metric("rate_per_second", "1/s", "", 1.0, "higher")
    ]
    assert metrics_of(own(), [""]) == [Metric("value", "", "")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a mapping"),
        ("components: []", "at least 1"),
        ("campaign: demo", "this campaign has no key `components`"),
        ("component: [process_spawn]", "Did you mean 'components'"),
        ("components: [", "no valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(text)

    with pytest.raises(InputError, match=said):
        read_components(path)


def test_a_campaign_is_a_file_of_components_too(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("campaign: demo\nother: 1\ncomponents: [process_spawn]\n")

    assert [component.name for component in read_components(path)] == ["process_spawn"]
    with pytest.raises(InputError, match="does not exist"):
        read_components(tmp_path / "absent.yaml")


def test_every_shipped_program_is_there() -> None:
    for shipped in SHIPPED.values():
        assert shipped.source.is_file()
