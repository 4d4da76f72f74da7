"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

# Tests run side by side on few cores: how long an example takes says nothing.
settings.register_profile("side by side", deadline=None)
settings.load_profile("side by side")

FIRST = ("workflow", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole campaigns: side by side, what takes longest must not be left for the end."""
    items.sort(
        key=lambda item: next(
            (n for n, room in enumerate(FIRST) if room in item.path.parts), len(FIRST)
        )
    )
