"""Throw-away Slurm clusters for tests."""

from __future__ import annotations

from slurm.fixtures import cluster, clusters, short

__all__ = ["cluster", "clusters", "short"]
