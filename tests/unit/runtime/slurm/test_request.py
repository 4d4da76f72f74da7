"""What may stand in a batch script."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.runtime.slurm.request import AllocationRequest, ComponentRequest
from escalade.runtime.slurm.script import sbatch_script

FREE = ["partition", "account", "qos", "reservation", "constraint", "gpu_type"]


@pytest.mark.parametrize("key", FREE)
@pytest.mark.parametrize("value", ["", "a b", "a\n#SBATCH --exclusive", 'a"', "a'", "a\\", "a#b"])
def test_a_value_that_could_end_its_line_is_refused(key: str, value: str) -> None:
    with pytest.raises(InputError, match=rf"{key} of component 'all' is .*; expected"):
        ComponentRequest(name="all", gpus=1, **{key: value})


@given(value=st.text(), key=st.sampled_from(FREE))
def test_whatever_is_accepted_adds_one_line_of_its_own(value: str, key: str) -> None:
    try:
        component = ComponentRequest(name="all", gpus=1, **{key: value})
    except InputError:
        return
    plain = ComponentRequest(name="all", gpus=1)

    assert lines(component) - lines(plain) <= 1
    assert not set(value) & set(" \n\r\t\"'\\#;`$")


@given(option=st.text())
def test_whatever_extra_option_is_accepted_is_one_line(option: str) -> None:
    try:
        component = ComponentRequest(name="all", extra=(f"--comment={option}",))
    except InputError:
        return

    assert lines(component) == lines(ComponentRequest(name="all")) + 1


def lines(component: ComponentRequest) -> int:
    return len(sbatch_script(allocation(components=(component,))).splitlines())


def allocation(**changes: object) -> AllocationRequest:
    given: dict[str, object] = {
        "name": "c",
        "components": (ComponentRequest(name="all"),),
        "time_limit_seconds": 60.0,
        "log": Path("/r/log"),
        "command": ("true",),
    }
    return AllocationRequest(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "option",
    ["--output=/tmp/x", "-o /tmp/x", "-o/tmp/x", "--requeue", "--export=ALL", "--exp=ALL", "-n4"],
)
def test_an_extra_option_can_t_overrule_what_is_decided(option: str) -> None:
    with pytest.raises(InputError, match="is not for `extra`"):
        ComponentRequest(name="all", extra=(option,))


def test_the_refusal_of_an_extra_option_names_the_key_to_use() -> None:
    with pytest.raises(
        InputError, match="Escalade sets --partition itself: the key partition says so"
    ):
        ComponentRequest(name="all", extra=("-p gpu",))


@pytest.mark.parametrize("option", ["nodelist=a", "", "-", "--", "hetjob", "--x=a\nb", "--c='a'"])
def test_what_is_no_option_is_refused(option: str) -> None:
    with pytest.raises(InputError, match="can't stand in the script"):
        ComponentRequest(name="all", extra=(option,))


@pytest.mark.parametrize("option", ["--gres-flags=enforce-binding", "--mem-bind=local", "--hint=x"])
def test_an_option_that_only_resembles_a_key_is_taken(option: str) -> None:
    assert ComponentRequest(name="all", extra=(option,)).extra == (option,)


@pytest.mark.parametrize(
    ("key", "number"), [("nodes", 0), ("cpus", 0), ("memory_mb", -1), ("gpus", -1)]
)
def test_impossible_numbers_are_refused(key: str, number: int) -> None:
    with pytest.raises(InputError, match=f"{key} of component 'all' is {number}"):
        ComponentRequest(name="all", **{key: number})


def test_a_gpu_type_without_gpus_is_refused() -> None:
    with pytest.raises(InputError, match="asks for no GPUs"):
        ComponentRequest(name="all", gpu_type="a100")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "a b"}, "name of an allocation"),
        ({"name": "a" * 65}, "at most 64"),
        ({"components": ()}, "has no component"),
        ({"components": (ComponentRequest(name="a"),) * 2}, "of the same name: a, a"),
        ({"time_limit_seconds": 0.0}, "time limit"),
        ({"time_limit_seconds": float("nan")}, "time limit"),
        ({"time_limit_seconds": float("inf")}, "time limit"),
        ({"after": "7,8"}, "expected its number"),
        ({"warn_seconds": 0.0}, "1 to 65535"),
        ({"warn_seconds": 65536.0}, "1 to 65535"),
        ({"command": ()}, "no command"),
        ({"command": ("a\nb",)}, "line break"),
        ({"setup": ("a\nb",)}, "line break"),
        ({"log": Path("/a\nb")}, "control sign"),
        ({"log": Path('/a"b')}, "quote"),
    ],
)
def test_an_allocation_that_can_t_be_written_is_refused(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        allocation(**changes)


def test_only_several_components_make_a_heterogeneous_job() -> None:
    assert not allocation().heterogeneous
    two = (ComponentRequest(name="client"), ComponentRequest(name="service"))
    assert allocation(components=two).heterogeneous


@pytest.mark.parametrize(
    ("key", "value"), [("account", "p1"), ("qos", "dev"), ("reservation", "r"), ("memory_mb", 500)]
)
def test_silence_that_slurm_would_fill_from_another_component_is_refused(
    key: str, value: str | int
) -> None:
    said = ComponentRequest(name="client", **{key: value})
    silent = ComponentRequest(name="service")

    with pytest.raises(
        InputError, match=rf"{key} of component 'service' .* of 'client' \({value}\)"
    ):
        allocation(components=(said, silent))
    assert allocation(components=(silent, said)).heterogeneous


def test_a_partition_is_not_handed_on_and_may_be_left_open() -> None:
    said = ComponentRequest(name="client", partition="cpu", cpus=2, gpus=1, exclusive=True)

    assert allocation(components=(said, ComponentRequest(name="service"))).heterogeneous


def test_components_apart_are_a_plain_job_each() -> None:
    client = ComponentRequest("client", partition="cpu", account="a")
    service = ComponentRequest("service", partition="gpu", gpus=2)  # inherits nothing

    asked = allocation(components=(client, service), apart=True)

    assert not asked.heterogeneous
    assert [job.components for job in asked.jobs()] == [(client,), (service,)]
    assert all(not job.apart for job in asked.jobs())
    assert "hetjob" not in "".join(map(sbatch_script, asked.jobs()))


def test_the_nodes_of_the_client_s_component_are_the_client_s() -> None:
    two = (ComponentRequest(name="client", nodes=3), ComponentRequest(name="service", nodes=2))

    assert allocation(components=two).clients == 3
    assert allocation(components=two, apart=True).clients == 3
    assert allocation(components=two[:1]).clients == 1  # one component: its first node is both


def test_other_allocations_are_one_job() -> None:
    asked = allocation()

    assert asked.jobs() == (asked,)
