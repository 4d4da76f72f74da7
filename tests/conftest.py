"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

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


SHARED = ("tests/integration/report/", "tests/unit/report/")
"""Folders whose files share what is dear to make: campaigns, pages, a browser."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Give each file to one process, and each shared folder as a whole."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - only where tests run side by side

    class ByFolder(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = (folder for folder in SHARED if nodeid.startswith(folder))
            return next(shared, super()._split_scope(nodeid))

    return ByFolder(config, log)
