"""Slurm from the distribution's packages, where it is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.distribution import Distribution
from escalade.runtime.toolbox import FOLDER_VARIABLE
from slurm import packages
from slurm.cluster import LOGIN, Cluster, Site, missing
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no Slurm on PATH, and none unpacked before."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "tools"))
    monkeypatch.setattr(packages, "_find", lambda _: {})
    packages._located.cache_clear()
    yield
    packages._located.cache_clear()


@pytest.mark.usefixtures("bare")
def test_where_slurm_is_not_to_be_had_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    said = missing()

    assert said.startswith("Slurm is not installed: no munged, slurmctld, slurmd, sbatch")
    assert said.endswith("no apt-get here: no Debian or Ubuntu")


@pytest.mark.usefixtures("bare")
def test_a_fetch_that_failed_is_not_repeated_by_every_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def refuse(_: Distribution, package: str, into: Path) -> str:
        asked.append(package)
        raise InfrastructureError(f"no network for {into}")

    monkeypatch.setattr(Distribution, "unpack", refuse)

    assert missing() == missing()
    assert asked == ["munge"]


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_slurm_runs_from_unpacked_packages(short: Path) -> None:
    if reason := missing():
        require_or_skip("apt", reason)

    with Cluster(short / "c", Site(nodes=2), mode="ports") as cluster:
        done = cluster.run(
            LOGIN, ["srun", "--nodes=2", "sh", "-c", "echo $SLURMD_NODENAME; which srun"]
        )
        daemons = cluster.run(LOGIN, ["sh", "-c", "cat /proc/[0-9]*/maps"], check=False).stdout

    wrapper = str(short / "c" / "bin" / "srun")
    assert sorted(done.stdout.split()) == [wrapper, wrapper, "node1", "node2"]
    assert "/tools/slurm/usr/sbin/slurmctld" in daemons
