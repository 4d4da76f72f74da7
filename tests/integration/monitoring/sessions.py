"""What tests of monitoring sessions ask: through the command line, and of the processes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import psutil
from typer.testing import CliRunner

from escalade.cli.monitor import app
from escalade.errors import EscaladeError
from escalade.monitoring.sessions.service import MonitoringService

if TYPE_CHECKING:
    from pathlib import Path


def left(folder: Path) -> list[int]:
    """Name the processes that still work in a folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or [])
    ]


def run(root: Path, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--state", str(root)])
    if isinstance(done.exception, EscaladeError):
        assert done.exception.exit_code == code, done.exception
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def told(root: Path, session: str = "bench01", code: int = 0) -> dict[str, Any]:
    content = run(root, "status", "--session", session, "--json", code=code)
    return dict(json.loads(content))


def scraped(root: Path) -> dict[str, Any]:
    """Give the status once every target was scraped, well or not."""
    deadline = time.monotonic() + 30
    while True:
        found = told(root)
        missing = [it for it in found["targets"] if it["last_scrape"] is None]
        if not missing:
            return found
        assert time.monotonic() < deadline, missing
        time.sleep(0.1)


def until_dead(root: Path) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while MonitoringService(root).status("bench01").state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return told(root, code=3)
