"""How exporters are started, whoever starts them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def node_exporter_command(path: Path) -> tuple[str, ...]:
    """Give node_exporter without the collectors that log an error at every scrape where there is no D-Bus."""
    return (str(path), "--no-collector.systemd", "--no-collector.textfile")


def own_exporter_command(module: str) -> tuple[str, ...]:
    """Give the command of one of our own exporters, as in "gpu.exporter"."""
    return (sys.executable, "-m", f"escalade.{module}")


def listen_options(kind: str, address: str, port: int) -> tuple[str, ...]:
    """Give what tells an exporter where to listen."""
    if kind == "node":
        return (f"--web.listen-address={address}:{port}",)
    return ("--address", address, "--port", str(port))
