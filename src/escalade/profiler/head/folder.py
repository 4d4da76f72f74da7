"""The folder of a head: what it was started with, where it is reached, and all that it keeps."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.errors import ConflictError, InfrastructureError, InputError
from escalade.files import write_json
from escalade.monitoring.sessions import locks
from escalade.profiler.sessions import SessionStore

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

DEFAULT = Path("escalade-profiler")
LEAST_MS, MOST_MS, USUAL_MS = 50, 600_000, 250


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """What a head is started with.

    Parameters
    ----------
    interval_ms
        Between two readings of a GPU, 50 to 600,000.
    bandwidth, nvlink
        Whether bytes over PCIe and over NVLink are read.
    """

    interval_ms: int = USUAL_MS
    bandwidth: bool = False
    nvlink: bool = False

    def __post_init__(self) -> None:
        """Check the interval.

        Raises
        ------
        InputError
            When it is out of bounds.
        """
        if not LEAST_MS <= self.interval_ms <= MOST_MS:
            raise InputError(
                f"--freq {self.interval_ms}: expected {LEAST_MS} to {MOST_MS:,} milliseconds."
            )


class HeadFolder:
    """All that a head keeps, for its owner alone.

    Parameters
    ----------
    root
        The folder; made by `make`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @property
    def data(self) -> Path:
        """The data of Prometheus."""
        return self.root / "data"

    @property
    def output(self) -> Path:
        """Files of sessions that were stopped."""
        return self.root / "output"

    @property
    def token_file(self) -> Path:
        """The token that nodes and commands have to send."""
        return self.root / "token"

    @property
    def log(self) -> Path:
        """What Prometheus says."""
        return self.root / "prometheus.log"

    @property
    def sessions(self) -> SessionStore:
        """The sessions."""
        return SessionStore(self.root / "sessions")

    def make(self) -> None:
        """Make the folder and a token where there is none.

        Raises
        ------
        InfrastructureError
            When it can't be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.token_file.exists():
                handle = os.open(self.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w", encoding="ascii") as opened:
                    opened.write(secrets.token_urlsafe(32) + "\n")
        except OSError as error:
            raise InfrastructureError(
                f"{self.root} can't be made: {error.strerror}. Choose another folder by --data."
            ) from error

    def exists(self) -> bool:
        """Tell whether a head ever worked here."""
        return self.data.is_dir() or self.token_file.exists()

    def held(self) -> bool:
        """Tell whether a head works here now."""
        return locks.held(self.root / "lock")

    def hold(self) -> AbstractContextManager[int]:
        """Hold the folder for one head, or for one command that works without.

        Raises
        ------
        ConflictError
            When another has it.
        """
        if self.held():
            at = self.address()
            raise ConflictError(
                f"A head works in {self.root} already{f', at {at}' if at else ''}. Use that one, "
                "end it, or choose another folder by --data."
            )
        return locks.holding(self.root / "lock", lambda: True)

    def settings(self) -> HeadSettings | None:
        """Give what the last head here was started with; None where that is not known."""
        try:
            content = json.loads((self.root / "head.json").read_bytes())["settings"]
            return HeadSettings(**content)
        except (OSError, ValueError, KeyError, TypeError, InputError):
            return None

    def address(self) -> str | None:
        """Give where the head here is reached from this machine, as `host:port`."""
        try:
            return str(json.loads((self.root / "head.json").read_bytes())["address"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def database_url(self) -> str | None:
        """Give where the Prometheus of the head here answers, from this machine only."""
        try:
            return (self.root / "prometheus.url").read_text("ascii").strip()
        except OSError:
            return None

    def tell(self, settings: HeadSettings, address: str) -> None:
        """Write down what the head was started with, and where it is reached."""
        write_json(
            self.root / "head.json",
            {
                "schema": 1,
                "settings": dataclasses.asdict(settings),
                "address": address,
                "host": socket.gethostname(),
                "pid": os.getpid(),
            },
        )
