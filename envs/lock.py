"""Write requirements.lock and requirements-dev.lock: `.venv/bin/python envs/lock.py`.

The first is what a campaign needs, the second adds what the tests need, at the same
versions. Both hold hashes, for every Python and Linux processor that is supported.
"""
# ruff: noqa: INP001 - run by path, no package

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ["pyproject.toml", "envs/bootstrap.in"]
OPTIONS = [
    "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate",
    "--no-header", "--quiet", "--extra", "campaign",
]  # fmt: skip


def lock(target: Path, *options: str) -> None:
    """Resolve the sources into a lock file, which is replaced as a whole."""
    uv = Path(sys.executable).with_name("uv")
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".lock-") as folder:
        made = Path(folder) / target.name
        command = [uv, "pip", "compile", *SOURCES, *OPTIONS, *options, "-o", made]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        made.replace(target)


if __name__ == "__main__":
    lock(ROOT / "requirements.lock", *sys.argv[1:])
    lock(
        ROOT / "requirements-dev.lock",
        "--extra", "dev", "--constraint", "requirements.lock", *sys.argv[1:],
    )  # fmt: skip
