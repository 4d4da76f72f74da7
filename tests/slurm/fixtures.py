"""Throw-away Slurm clusters as fixtures: a conftest imports those that its tests use.

from slurm.fixtures import cluster, clusters  # noqa: F401 - fixtures
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurm.cluster import Cluster, Mode, Site, missing
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Clusters = Callable[..., Cluster]


@pytest.fixture
def short() -> Iterator[Path]:
    """Make a folder whose path leaves room for the names of Unix sockets, not as pytest."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Give what starts a cluster of a special kind, or gives the one of that kind that runs.

    Called as `clusters(site, mode)`, both optional. The clusters live as long as the
    session: leave them as you found them.
    """
    running: dict[tuple[Site, Mode | None], Cluster] = {}
    with ExitStack() as stack:

        def start(site: Site | None = None, mode: Mode | None = None) -> Cluster:
            site = site or Site()
            if (site, mode) not in running:
                if reason := missing(site):
                    require_or_skip("slurm", reason)
                # Not pytest's folder: see `short`.
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
                running[site, mode] = stack.enter_context(Cluster(folder / "c", site, mode))
            return running[site, mode]

        yield start


@pytest.fixture(scope="session")
def cluster(clusters: Clusters) -> Cluster:
    """Three nodes with four GPUs each: hosts of their own where root is available."""
    return clusters()
