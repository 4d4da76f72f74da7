"""What an installation on a node weighs: a fresh environment with the node extra, and vmagent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from escalade.runtime import tools

ROOT = Path(__file__).resolve().parents[2]


def installed(folder: Path) -> tuple[float, str]:
    """Install into a folder; give the bytes of all files, vmagent's included."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq"]
    subprocess.run([*pip, "--disable-pip-version-check", f"{ROOT}[node]"], check=True)
    python = sum(it.stat().st_size for it in folder.rglob("*") if it.is_file())
    vmagent = tools.ensure("vmagent").path.stat().st_size
    total = python + vmagent
    return (
        total,
        f"{total / 1e6:.0f} MB (Python packages with pip {python / 1e6:.0f}, vmagent {vmagent / 1e6:.0f})",
    )
