"""Throw-away Slurm clusters for tests."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurm.cluster import Cluster, Mode, Site, missing
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Clusters = Callable[..., Cluster]


@contextmanager
def _short_folder() -> Iterator[Path]:
    """Make a folder whose path leaves room for the names of Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    """Start clusters of special kinds; they live as long as the session."""
    with ExitStack() as stack:

        def start(site: Site | None = None, mode: Mode | None = None) -> Cluster:
            if reason := missing():
                require_or_skip("slurm", reason)
            folder = stack.enter_context(_short_folder())
            return stack.enter_context(Cluster(folder / "c", site, mode))

        yield start


@pytest.fixture(scope="session")
def cluster(clusters: Clusters) -> Cluster:
    """Three nodes with four GPUs each: hosts of their own where root is available."""
    return clusters()
