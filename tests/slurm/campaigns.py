"""Campaigns on a throw-away cluster: what they ask for, and the jobs that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workplace import until

if TYPE_CHECKING:
    from slurm.cluster import Cluster

GPUS = 2


def on_slurm(**changes: Any) -> dict[str, Any]:
    """Give the section `execution` of a campaign with a component for each side."""
    slurm = {
        "client": {"partition": "cpu", "cpus": 2},
        "service": {"partition": "gpu", "cpus": 2, "gpus": GPUS},
        "queue_timeout_seconds": 60,
        "lease_seconds": 20,
    }
    return {"attempts": 1, "slurm": slurm | changes}


def jobs(cluster: Cluster) -> list[str]:
    """Name the jobs that are there, with their states."""
    done = cluster.run("login", ["squeue", "--noheader", "--format=%i %T"], capture_output=True)
    return [line for line in done.stdout.splitlines() if "COMPLETING" not in line]


def await_job(cluster: Cluster) -> str:
    """Wait for a job that runs; give its id."""
    until(lambda: any("RUNNING" in line for line in jobs(cluster)), 60)
    return min(line.split("+")[0].split()[0] for line in jobs(cluster))
