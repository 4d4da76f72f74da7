"""A head, nodes, and GPUs that are simulated."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from escalade.runtime import tools
from gpus import Machine, build_library
from profiling import Rig, Wire
from workplace import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def fetched_tools() -> None:
    """Have what head and nodes run before a test waits for it."""
    os.environ.setdefault("ESCALADE_TOOLS", str(ROOT / ".tools"))
    for name in ("prometheus", "vmagent"):
        tools.ensure(name)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("fakenvml"))


@pytest.fixture
def machine(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(library, tmp_path, monkeypatch)


@pytest.fixture
def rig(machine: Machine, tmp_path: Path) -> Iterator[Rig]:
    machine.model("h100")
    machine.model("h100")
    made = Rig(tmp_path, freq=250, options=("--enable-bandwidth", "--enable-nvlink"))
    yield made
    made.close()


@pytest.fixture
def wire(rig: Rig) -> Iterator[Wire]:
    made = Wire(rig.port)
    yield made
    made.close()
