"""What the site looks like: its options, and Slurm's configuration files made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Preemption = Literal["CANCEL", "REQUEUE"]
GPU_DEVICES = 8


@dataclass(frozen=True, slots=True)
class Site:
    """What kind of site the cluster plays.

    Parameters
    ----------
    nodes
        How many: node1, node2, …
    cpus
        Per node; Slurm is told so, whatever the machine has. Steps can only be bound
        to CPUs that it has.
    memory_mb
        Per node, as Slurm is told.
    gpus
        Per GPU node, without any device behind them.
    cpu_nodes
        The first so many nodes have no GPUs and make up the partition `cpu`, the
        others the partition `gpu`; None puts every node, with GPUs, into both.
    affinity
        Steps are confined to the CPUs that they ask for, which is one thread where they
        say nothing: `--cpu-bind=none` does not free them (seen with Slurm 22.05).
        Without it a step may use every CPU of the machine.
    exclusive
        Jobs get whole nodes in every partition.
    preemption
        What becomes of a job that a job in the partition `urgent` displaces, as
        Slurm's PreemptMode; None: there is no such partition.
    accounting
        slurmdbd with accounts and QOS that are enforced: see `accounting.py`.
    min_job_age_seconds
        For how long an ended job is still known to squeue.
    kill_wait_seconds
        Between SIGTERM and SIGKILL to the steps of a job that is over its time.
    second_network
        Every node has an interface "ib0" besides, with an address that only the node
        itself can reach; in the mode "hosts".
    settings
        Further keys of slurm.conf, or other values for keys.
    """

    nodes: int = 3
    cpus: int = 8
    memory_mb: int = 16000
    gpus: int = 4
    cpu_nodes: int | None = None
    affinity: bool = False
    exclusive: bool = False
    preemption: Preemption | None = None
    accounting: bool = False
    min_job_age_seconds: int = 300
    kill_wait_seconds: int = 2
    second_network: bool = False
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def node_names(self) -> tuple[str, ...]:
        """The nodes, in order."""
        return tuple(f"node{number}" for number in range(1, self.nodes + 1))

    @property
    def gpu_node_names(self) -> tuple[str, ...]:
        """Those with GPUs, which are in the partition `gpu`."""
        return self.node_names[self.cpu_nodes or 0 :] if self.gpus else ()

    @property
    def cpu_node_names(self) -> tuple[str, ...]:
        """Those in the partition `cpu`."""
        return self.node_names[: self.cpu_nodes]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cluster runs.

    Parameters
    ----------
    folder
        Of the cluster; absolute.
    user
        Whom the daemons run as.
    controller
        The value of SlurmctldHost.
    nodes
        What says where each node is, by name: "NodeAddr=… Port=…".
    controller_port, accounting_port
        Where slurmctld and slurmdbd listen.
    plugins
        PluginDir, where it is not the one that Slurm was built with.
    """

    folder: Path
    user: str
    controller: str
    nodes: Mapping[str, str]
    controller_port: int
    accounting_port: int
    plugins: Path | None = None


def write(site: Site, place: Place) -> None:
    """Write slurm.conf and what goes with it into the folder's `etc`."""
    etc = place.folder / "etc"
    devices = place.folder / "dev"
    devices.mkdir()
    for number in range(GPU_DEVICES):
        (devices / f"gpu{number}").symlink_to("/dev/null")
    (etc / "slurm.conf").write_text(slurm_conf(site, place), encoding="ascii")
    (etc / "gres.conf").write_text(gres_conf(site, devices), encoding="ascii")
    # Version 1 asks nothing of the machine until a plugin uses it; none does.
    (etc / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    (etc / "plugstack.conf").write_text("", encoding="ascii")


def slurm_conf(site: Site, place: Place) -> str:
    """Render slurm.conf."""
    keys = {
        **_places(place),
        **_behaviour(site),
        **(_accounting(place) if site.accounting else {}),
        **(_preemption(site.preemption) if site.preemption else {}),
        **dict(site.settings),
    }
    lines = [f"{key}={value}" for key, value in keys.items()]
    return "\n".join([*lines, *_nodes(site, place), *_partitions(site), ""])


def gres_conf(site: Site, devices: Path) -> str:
    """Render gres.conf: GPUs are counted only where there are device files."""
    return "".join(
        f"NodeName={node} Name=gpu File={devices}/gpu[0-{site.gpus - 1}]\n"
        for node in site.gpu_node_names
    )


def _places(place: Place) -> dict[str, str]:
    folder = place.folder
    keys = {
        "ClusterName": "throwaway",
        "SlurmctldHost": place.controller,
        "SlurmctldPort": str(place.controller_port),
        "SlurmUser": place.user,
        "SlurmdUser": place.user,
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/run/munge.sock",
        "CredType": "cred/munge",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool/%n",
        "SlurmctldPidFile": f"{folder}/run/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/run/slurmd-%n.pid",
        "SlurmctldLogFile": f"{folder}/log/slurmctld.log",
        "SlurmdLogFile": f"{folder}/log/slurmd-%n.log",
        "PlugStackConfig": f"{folder}/etc/plugstack.conf",
    }
    if place.plugins is not None:
        keys["PluginDir"] = str(place.plugins)
    return keys


def _behaviour(site: Site) -> dict[str, str]:
    return {
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/affinity" if site.affinity else "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "5",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        # Jobs start within a second or so; without these, within a minute.
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1,"
        "sched_min_interval=0",
        "ReturnToService": "1",  # a node that was declared DOWN stays so
        "SlurmdTimeout": "30",
        "KillWait": str(site.kill_wait_seconds),
        "MinJobAge": str(site.min_job_age_seconds),
        "GresTypes": "gpu",
        "SlurmdParameters": "config_overrides",
        "AccountingStorageType": "accounting_storage/none",
    }


def _accounting(place: Place) -> dict[str, str]:
    return {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": place.controller.partition("(")[2].rstrip(")"),
        "AccountingStoragePort": str(place.accounting_port),
        "AccountingStoragePass": f"{place.folder}/run/munge.sock",
        "AccountingStorageEnforce": "associations,limits,qos",
        "AccountingStorageTRES": "gres/gpu",
        "AccountingStoreFlags": "job_comment",
    }


def _preemption(mode: str) -> dict[str, str]:
    return {"PreemptType": "preempt/partition_prio", "PreemptMode": mode}


def _nodes(site: Site, place: Place) -> list[str]:
    return [
        f"NodeName={node} {place.nodes[node]} CPUs={site.cpus} RealMemory={site.memory_mb} "
        f"Features=throwaway,{node} "
        + (f"Gres=gpu:{site.gpus} " if node in site.gpu_node_names else "")
        + "State=UNKNOWN"
        for node in site.node_names
    ]


def _partitions(site: Site) -> list[str]:
    common = "MaxTime=2-00:00:00 DefaultTime=60 DefMemPerCPU=500"
    if site.exclusive:
        common += " OverSubscribe=EXCLUSIVE"
    tier = " PriorityTier=1" if site.preemption else ""
    lines = [
        f"PartitionName=cpu Nodes={','.join(site.cpu_node_names)} Default=YES {common}{tier}",
    ]
    if site.gpu_node_names:
        nodes = ",".join(site.gpu_node_names)
        lines.append(f"PartitionName=gpu Nodes={nodes} {common}{tier}")
    if site.preemption:
        lines.append(f"PartitionName=urgent Nodes=ALL {common} PriorityTier=10")
    return lines
