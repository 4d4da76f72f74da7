"""Pages are registered together as they would be one by one, and no dearer than they have to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.monitoring.sessions import registration
from escalade.monitoring.sessions.record import SessionFolder
from escalade.monitoring.sessions.service import MonitoringService

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_addresses_of_this_machine_are_asked_once_for_all_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def here() -> list[str]:
        asked.append(1)
        return ["10.0.0.5"]

    monkeypatch.setattr(registration, "addresses", here)
    service = MonitoringService(tmp_path)
    service.create("bench01")

    service.register_services("bench01", [(f"s{n}", f"127.0.0.1:{8000 + n}") for n in range(3)])

    pages = SessionFolder(tmp_path, "bench01").read().pages
    assert [page.hosts for page in pages] == [("127.0.0.1", "10.0.0.5")] * 3
    assert len(asked) == 1
