"""What a node says about itself when a step of an allocation asks it."""

from __future__ import annotations

import os
from typing import Any

from escalade.runtime import processes
from escalade.runtime.cores import available_cores, plan_cores
from escalade.runtime.processes import Identity
from escalade.runtime.slurm.frame import visible_gpus
from escalade.runtime.slurm.routes import addresses


def node_facts(interface: str | None = None) -> dict[str, Any]:
    """Describe the node and what the allocation has of it.

    Parameters
    ----------
    interface
        Network interface by which the other nodes reach it; all that it has when None.

    Returns
    -------
    dict
        node (as Slurm names it), addresses, cpus, gpus; and the CPUs split between
        client_cpus and service_cpus, for an allocation that both share.
    """
    client, service = plan_cores()
    return {
        "node": os.environ.get("SLURMD_NODENAME", os.uname().nodename),
        "addresses": addresses(interface),
        "cpus": list(available_cores()),
        "gpus": list(visible_gpus()),
        "client_cpus": list(client),
        "service_cpus": list(service),
    }


def signal_process(pid: int, start_time: int, number: int) -> bool:
    """Send a signal to a process of this node; False when it is gone."""
    return processes.send(Identity(pid, start_time), number)
