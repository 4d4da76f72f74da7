"""Escalade: reproducible benchmark campaigns for AI services."""

from importlib.metadata import version

__version__ = version("escalade")
