"""What a detached process tells its log."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.runtime import daemon

if TYPE_CHECKING:
    import pytest


def test_a_log_on_a_full_disk_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 - closing it would fail as well
    monkeypatch.setattr(sys, "stderr", full)

    daemon.say("a line that nobody will read")

    with contextlib.suppress(OSError):
        full.close()
