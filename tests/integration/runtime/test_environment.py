"""The whole bootstrap, into a new environment: minutes, and hundreds of megabytes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_environment_is_made_once_and_then_used_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-P", ROOT / "envs" / "bootstrap.py", "--venv", tmp_path / "venv"]
    begun = time.monotonic()
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No package index can be reached" in first.stderr:
        pytest.skip("no network")
    made = time.monotonic()
    subprocess.run(command, check=True)
    again = time.monotonic()

    assert first.returncode == 0, first.stderr
    assert again - made < (made - begun) / 3
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, ROOT / "envs" / "verify.py", ROOT / "requirements.lock"], check=True)
    subprocess.run([python.with_name("escalade"), "--help"], check=True, capture_output=True)
