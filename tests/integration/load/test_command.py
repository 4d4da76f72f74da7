"""The command that serves known times."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "escalade", "truth-server"]


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    port = tmp_path / "port"
    options = ["--port-file", str(port), "--service-seconds", "0.2"]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as server:
        deadline = time.monotonic() + 30
        while not port.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        answer = requests.get(f"http://127.0.0.1:{port.read_text().strip()}/x", timeout=5)
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=10)

    assert answer.elapsed.total_seconds() >= 0.2
    assert "listening on http://127.0.0.1:" in output
    assert server.returncode == 0


def test_its_help_lists_its_own_options_and_a_wrong_one_is_named() -> None:
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    wrong = subprocess.run([*COMMAND, "--slotz", "4"], capture_output=True, text=True, check=False)

    assert "usage: escalade truth-server" in shown.stdout
    assert "--collapse-beyond" in shown.stdout
    assert wrong.returncode == 2
    assert "--slotz" in wrong.stderr


def test_an_address_that_can_not_be_had_is_one_message() -> None:
    taken = subprocess.run(
        [*COMMAND, "--host", "203.0.113.7"], capture_output=True, text=True, check=False
    )

    assert taken.returncode == 3
    assert "can't listen" in taken.stderr
    assert "Traceback" not in taken.stderr
