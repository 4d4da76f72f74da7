"""Sessions over a real Prometheus, with a real vmagent and simulated GPUs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from profiling import Rig, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpus import Machine


@pytest.fixture
def rig(machine: Machine, tmp_path: Path) -> Iterator[Rig]:
    machine.model("h100")
    machine.model("h100")
    made = Rig(tmp_path, options=("--enable-bandwidth", "--enable-nvlink"))
    yield made
    made.close()


def test_a_session_of_two_nodes_from_begin_to_file(rig: Rig) -> None:
    head = rig.head()
    nodes = [rig.node(name) for name in ("alpha", "beta")]
    until(lambda: rig.ask("status", rig.address)["healthy"] == 2)
    rig.run("profile", rig.address, "--name", "training")
    time.sleep(4)
    told = rig.stop("training")
    print(head.said, nodes[0].said)
    print(str(told)[:3000])
    assert 0
