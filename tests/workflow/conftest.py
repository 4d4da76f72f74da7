"""Real campaigns against the truth server, each in a folder of its own."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from escalade.runtime import tools
from slurm.fixtures import cluster, clusters
from workplace import ROOT, Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slurm.cluster import Cluster


__all__ = ["cluster", "clusters"]


@pytest.fixture(scope="session", autouse=True)
def fetched_tools() -> None:
    """Have Prometheus and node_exporter before the first campaign starts."""
    os.environ.setdefault("ESCALADE_TOOLS", str(ROOT / ".tools"))
    for name in ("prometheus", "promtool", "node_exporter"):
        tools.ensure(name)


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    """Give a folder for one campaign; whatever is left in it is killed afterwards."""
    place = Workplace(tmp_path)
    yield place
    for child in place.children:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    for process in place.processes():
        process.kill()


@pytest.fixture
def place(cluster: Cluster, workplace: Workplace) -> Iterator[Workplace]:
    """Give a folder whose commands run on the login host of a cluster."""
    workplace.prefix = cluster.command_prefix()
    workplace.profile = "slurm"
    yield workplace
    cluster.run("login", ["scancel", "--user", "root"], check=False)
