"""What a site allows: its partitions, its QOS, and what its nodes have."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.runtime.slurm.notation import (
    SEPARATOR,
    expand_hosts,
    parse_time,
    scontrol_entries,
    unexpected,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTITION_COMMAND = ("scontrol", "show", "partition")
"""Its output is for `parse_partitions`."""

QOS_FIELDS = ("Name", "MaxWall", "MaxJobsPU", "MaxSubmitPU", "MaxTRES", "MaxTRESPU")

QOS_COMMAND = (
    *("sacctmgr", "show", "qos", "--noheader", "--parsable2"),
    f"format={','.join(QOS_FIELDS)}",
)
"""Its output is for `parse_qos`."""

SINFO_COMMAND = (
    *("sinfo", "--noheader"),
    f"--format={SEPARATOR.join(('%P', '%T', '%c', '%m', '%G', '%N'))}",
)
"""Its output is for `parse_sinfo`."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, and what a job in it may ask for.

    Parameters
    ----------
    name
        As sbatch takes it.
    up
        It accepts jobs and starts them.
    default
        Jobs that name no partition go there.
    whole_nodes
        Every job gets its nodes for itself, and pays for them.
    max_seconds
        Longest time limit of a job; `math.inf` without one.
    max_nodes
        Most nodes of a job; `math.inf` without a limit.
    nodes
        Names of its nodes.
    cpus
        CPUs of all its nodes together.
    accounts, qos
        The only ones that it lets in; None lets in all.
    own_qos
        QOS whose limits hold for every job in it; None without one.
    """

    name: str
    up: bool
    default: bool
    whole_nodes: bool
    max_seconds: float | None
    max_nodes: float | None
    nodes: tuple[str, ...]
    cpus: int | None
    accounts: tuple[str, ...] | None
    qos: tuple[str, ...] | None
    own_qos: str | None


@dataclass(frozen=True, slots=True)
class Qos:
    """A quality of service; a limit that it does not set is None.

    Parameters
    ----------
    name
        As sbatch takes it.
    max_seconds
        Longest time limit of a job.
    max_jobs_per_user, max_submitted_per_user
        How many jobs may run, and may be queued or run. Each component of a
        heterogeneous job counts.
    max_nodes_per_job, max_nodes_per_user
        Nodes of one job (of one component), and of all running jobs of a user.
    """

    name: str
    max_seconds: float | None
    max_jobs_per_user: int | None
    max_submitted_per_user: int | None
    max_nodes_per_job: int | None
    max_nodes_per_user: int | None


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes of one partition that are alike and in the same state.

    Parameters
    ----------
    partition
        Name of the partition.
    state
        As sinfo prints it: "idle", "mixed", "down*", …
    cpus, memory_mb
        Of each node; the least when they differ. MiB.
    gpus
        Of each node, by type; the type is "" where the site names none.
    nodes
        Host names.
    """

    partition: str
    state: str
    cpus: int
    memory_mb: int
    gpus: Mapping[str, int]
    nodes: tuple[str, ...]


def parse_partitions(text: str) -> dict[str, Partition]:
    """Read `scontrol show partition`.

    Raises
    ------
    InfrastructureError
        When there is text, but no partition in it.
    """
    found = [_partition(entry) for entry in scontrol_entries(text, "PartitionName")]
    if not found and text.strip() and "No partitions" not in text:
        raise unexpected("scontrol show partition", text, "PartitionName=…")
    return {partition.name: partition for partition in found}


def _partition(entry: Mapping[str, str]) -> Partition:
    own = entry.get("QoS", "N/A")
    return Partition(
        name=entry["PartitionName"],
        up=entry.get("State") == "UP",
        default=entry.get("Default") == "YES",
        whole_nodes=entry.get("OverSubscribe") == "EXCLUSIVE",
        max_seconds=parse_time(entry.get("MaxTime", "")),
        max_nodes=_limit(entry.get("MaxNodes", "")),
        nodes=expand_hosts(entry.get("Nodes", "")),
        cpus=_count(entry.get("TotalCPUs", "")),
        accounts=_allowed(entry.get("AllowAccounts", "ALL")),
        qos=_allowed(entry.get("AllowQos", "ALL")),
        own_qos=None if own in {"N/A", "(null)", ""} else own,
    )


def parse_qos(text: str) -> dict[str, Qos]:
    """Read what `QOS_COMMAND` prints.

    Raises
    ------
    InfrastructureError
        When a line has other fields than asked for.
    """
    found = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != len(QOS_FIELDS):
            raise unexpected("sacctmgr show qos", line, f"the fields {', '.join(QOS_FIELDS)}")
        name, wall, jobs, submitted, per_job, per_user = (field.strip() for field in fields)
        found[name] = Qos(
            name=name,
            max_seconds=parse_time(wall),
            max_jobs_per_user=_count(jobs),
            max_submitted_per_user=_count(submitted),
            max_nodes_per_job=_count(_tres(per_job).get("node", "")),
            max_nodes_per_user=_count(_tres(per_user).get("node", "")),
        )
    return found


def parse_sinfo(text: str) -> list[NodeGroup]:
    """Read what `SINFO_COMMAND` prints.

    Raises
    ------
    InfrastructureError
        When a line has other fields than asked for.
    """
    return [_node_group(line) for line in text.splitlines() if line.strip()]


def _node_group(line: str) -> NodeGroup:
    fields = [field.strip() for field in line.split(SEPARATOR)]
    numbers = [_count(field.rstrip("+")) for field in fields[2:4]]
    if len(fields) != 6 or None in numbers:
        raise unexpected("sinfo", line, "partition, state, CPUs, memory, GRES and nodes")
    partition, state, _, _, gres, nodes = fields
    cpus, memory = (number or 0 for number in numbers)
    return NodeGroup(
        partition=partition.rstrip("*"),
        state=state,
        cpus=cpus,
        memory_mb=memory,
        gpus=parse_gpus(gres),
        nodes=expand_hosts(nodes),
    )


def parse_gpus(gres: str) -> dict[str, int]:
    """Read the GPUs of a node: "gpu:a100:4(S:0-1),nic:1" gives {"a100": 4}."""
    found: dict[str, int] = {}
    for part in re.sub(r"\([^()]*\)", "", gres).split(","):
        name, *more = part.strip().split(":")
        if name == "gpu":
            count = int(more.pop()) if more and more[-1].isdigit() else 1
            kind = more[0] if more else ""
            found[kind] = found.get(kind, 0) + count
    return found


def _tres(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _limit(text: str) -> float | None:
    return math.inf if text.upper() in {"UNLIMITED", "INFINITE"} else _count(text)


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _allowed(text: str) -> tuple[str, ...] | None:
    return None if text in {"ALL", "(null)", ""} else tuple(text.split(","))
