"""What a site allows, where its answer is odd."""

from __future__ import annotations

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.slurm.limits import parse_gpus, parse_partitions, parse_qos, parse_sinfo
from escalade.runtime.slurm.notation import SEPARATOR


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("", {}),
        ("gpu:4", {"": 4}),
        ("gpu", {"": 1}),
        ("gpu:a100", {"a100": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0),gpu:v100:1(S:1),nic:1", {"a100": 2, "v100": 1}),
        ("gpu:a100:2,gpu:a100:2", {"a100": 4}),
        ("nic:gpu:2", {}),
    ],
)
def test_gpus_of_a_node(gres: str, gpus: dict[str, int]) -> None:
    assert parse_gpus(gres) == gpus


def test_no_partition_is_no_error() -> None:
    assert parse_partitions("") == {}
    assert parse_partitions("No partitions in the system\n") == {}


def test_what_is_no_partition_is_an_error() -> None:
    with pytest.raises(InfrastructureError, match="expected PartitionName="):
        parse_partitions("slurm_load_partitions error\n")


@pytest.mark.parametrize("text", ["short|00:30:00|1||node=1", "garbage"])
def test_a_qos_with_other_fields_is_an_error(text: str) -> None:
    with pytest.raises(InfrastructureError, match="expected the fields Name, MaxWall"):
        parse_qos(text)


@pytest.mark.parametrize("text", ["cpu|idle", "a|b|many|0|(null)|n1", "a|b|1|2|(null)"])
def test_a_group_of_nodes_with_other_fields_is_an_error(text: str) -> None:
    with pytest.raises(InfrastructureError, match="sinfo printed"):
        parse_sinfo(text.replace("|", SEPARATOR))


def test_unlike_nodes_count_with_the_least() -> None:
    (group,) = parse_sinfo(SEPARATOR.join(("gpu*", "mixed", "64+", "256000+", "gpu:2", "n[1-2]")))

    assert (group.partition, group.cpus, group.memory_mb) == ("gpu", 64, 256000)
