"""Two copies of a service on a cluster, and the kill of one of them on its node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import read_json
from slurm.campaigns import GPUS, jobs, on_slurm
from workplace import Workplace, deployment, ladder

if TYPE_CHECKING:
    from slurm.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_copies_share_out_their_node_and_one_is_killed_there_and_started_again(
    place: Workplace, cluster: Cluster
) -> None:
    place.write(
        deployments=[{**deployment("pair"), "replicas": 2}],
        load=ladder((20, 16)),
        failure={"step": 1, "at_seconds": 3, "restart_after_seconds": 1, "replica": 2},
        execution=on_slurm(),
    )

    code, output = place.run(timeout=580)

    assert code == 0, output
    cell = place.results / "cells" / place.cells()[0]
    copies = read_json(cell / "environment.json", "environment")["service"]["replicas"]
    # two CPUs and two GPUs of one node: one of each for each copy
    assert [len(each["cpus"]) for each in copies] == [1, 1]
    assert copies[0]["cpus"] != copies[1]["cpus"]
    assert [len(each["gpus"]) for each in copies] == [GPUS // 2] * 2
    assert copies[0]["gpus"] != copies[1]["gpus"]
    (step,) = place.steps()
    told = step["failure"]
    assert told["killed_at"] - step["window_start"] == pytest.approx(3.0, abs=2.0)
    assert told["restarted_at"] - told["killed_at"] >= 1.0
    (row,) = read_json(place.results / "verdicts.json", "verdicts")["recovery"]
    # on a busy machine the client may have been late, and then the row says so
    assert row["status"] == "recovered" or "client_limited" in row["words"]
    assert row["recover_seconds"] > 1.0
    assert row["back_seconds"] > 1.0
    assert row["held_ratio"] == pytest.approx(0.5, abs=0.1)
    log = pd.read_parquet(cell / "requests.parquet", columns=["replica", "error"])
    assert set(log[log["error"].notna()]["replica"]) == {2}
    assert jobs(cluster) == []
    assert place.processes() == []
