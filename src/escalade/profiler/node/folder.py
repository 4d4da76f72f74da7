"""The folder of a node's agent: what it was told, and the queue of what was not sent yet."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import ConflictError, InfrastructureError
from escalade.files import write_json
from escalade.monitoring.sessions import locks

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

ROOM_BYTES = 32 << 20
"""Less free space than this counts as a full disk."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What an agent does.

    Parameters
    ----------
    head
        `host:port`.
    name
        Of the node.
    interval_ms
        Between two readings.
    bandwidth, nvlink
        Whether bytes over PCIe and over NVLink are read.
    vmagent
        The program.
    token_file
        Holds what the head wants; None: it wants nothing.
    drain_seconds
        How long it tries to send what waits when it ends.
    """

    head: str
    name: str
    interval_ms: int
    bandwidth: bool
    nvlink: bool
    vmagent: str
    token_file: str | None = None
    drain_seconds: float = 10.0


class NodeFolder:
    """A folder for one agent at a time.

    Parameters
    ----------
    root
        The folder; made by `make`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @property
    def queue(self) -> Path:
        """What was read and not sent."""
        return self.root / "queue"

    @property
    def log(self) -> Path:
        """What vmagent says."""
        return self.root / "vmagent.log"

    @property
    def scrapes(self) -> Path:
        """What vmagent scrapes."""
        return self.root / "scrape.yml"

    def make(self) -> None:
        """Make the folder.

        Raises
        ------
        InfrastructureError
            When it can't be written, or there is no room.
        """
        try:
            self.queue.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.root.chmod(0o700)
        except OSError as error:
            raise InfrastructureError(
                f"The queue {self.root} can't be made: {error.strerror}. Choose another folder "
                "by --queue."
            ) from error
        if not self.has_room():
            raise InfrastructureError(
                f"The disk of the queue {self.root} is full: {ROOM_BYTES >> 20} MiB are needed to "
                "begin. Free some space, or choose another folder by --queue."
            )

    def has_room(self) -> bool:
        """Tell whether the disk of the queue has room."""
        return shutil.disk_usage(self.root).free >= ROOM_BYTES

    def hold(self) -> AbstractContextManager[int]:
        """Hold the folder for one agent.

        Raises
        ------
        ConflictError
            When another agent has it.
        """
        if locks.held(self.root / "lock"):
            raise ConflictError(
                f"Another agent works with the queue {self.root}. End it, or choose another folder "
                "by --queue."
            )
        return locks.holding(self.root / "lock", lambda: True)

    def instance(self) -> str:
        """Give the identity of this queue, made at its first use."""
        file = self.root / "instance"
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as opened:
                opened.write(secrets.token_hex(8))
        return file.read_text("ascii").strip()

    def write(self, settings: NodeSettings) -> None:
        """Keep what the agent is to do."""
        write_json(self.root / "agent.json", {"schema": 1, **dataclasses.asdict(settings)})

    def read(self) -> NodeSettings | None:
        """Give what the last agent here did; None where that is not known."""
        try:
            content = json.loads((self.root / "agent.json").read_bytes())
            content.pop("schema")
            return NodeSettings(**content)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def set_aside(self) -> Path:
        """Move a queue away that can't be read; nothing of it is removed."""
        aside = self.root / f"queue.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(2)}"
        self.queue.rename(aside)
        self.queue.mkdir(mode=0o700)
        return aside
