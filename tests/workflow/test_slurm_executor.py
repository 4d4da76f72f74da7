"""Rules as jobs of their own, by Snakemake's executor for Slurm: analysis, and the load where asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
import yaml

from slurm.campaigns import jobs, on_slurm
from workplace import ROOT, Workplace, ladder

if TYPE_CHECKING:
    from slurm.cluster import Cluster

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]


@pytest.fixture
def by_executor(place: Workplace) -> Workplace:
    """Give a workplace whose profile names the executor, as a user's own profile would."""
    profile = place.folder / "profile"
    profile.mkdir()
    content = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    content |= {
        "executor": "slurm",
        "jobs": 20,
        "slurm-status-command": "squeue",  # there is no accounting here
        "slurm-init-seconds-before-status-checks": 1,
    }
    (profile / "config.yaml").write_text(yaml.safe_dump(content))
    place.profile = str(profile)
    return place


def all_jobs(cluster: Cluster) -> set[str]:
    """Give the numbers of all jobs that Slurm remembers; it forgets some after minutes."""
    listed = ["squeue", "--noheader", "--states=all", "--format=%i"]
    return set(cluster.run("login", listed).stdout.split())


def test_load_and_analysis_are_jobs_where_the_profile_says_so(
    by_executor: Workplace, cluster: Cluster
) -> None:
    load = {**ladder((10, 2), (20, 2)), "run_as": "job"}
    by_executor.write(load=load, execution=on_slurm())
    before = all_jobs(cluster)

    code, output = by_executor.run()

    assert code == 0, output
    # one heterogeneous job for the cell, one for its load, and resolve, KPIs, verdicts,
    # provenance, report and manifest
    assert len(all_jobs(cluster) - before) >= 2 + 1 + 6
    assert [step["outcome"] for step in by_executor.steps()] == ["measured", "measured"]
    log = pd.read_parquet(
        by_executor.results / "cells" / by_executor.cells()[0] / "requests.parquet"
    )
    assert len(log) == (10 + 20) * 2.5
    assert log.error.isna().all()
    assert jobs(cluster) == []


def test_load_as_a_job_without_an_executor_is_refused(place: Workplace, cluster: Cluster) -> None:
    load = {**ladder((10, 2)), "run_as": "job"}
    place.write(load=load, execution=on_slurm())

    code, output = place.run()

    assert code == 3, output
    assert "the profile names no executor" in output
    assert jobs(cluster) == []
