"""The throw-away cluster is one: what tests of the Slurm launcher rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurm.cluster import Cluster


def test_a_step_runs_on_every_node(cluster: Cluster) -> None:
    done = cluster.run("login", ["srun", "--nodes=3", "sh", "-c", "echo $SLURMD_NODENAME"])

    assert sorted(done.stdout.split()) == ["node1", "node2", "node3"]
