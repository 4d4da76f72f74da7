"""Sessions: named windows over the stored data. They hold no data themselves.

So several may overlap, one may be cut out of the past, and the death of the head costs none of
them anything: a session that runs has a start and no end.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import AbsentError, ConflictError, InfrastructureError, InputError
from escalade.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FUTURE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Session:
    """A window of the stored data.

    Parameters
    ----------
    id
        Never given twice.
    name
        Given by its user, unique in its head.
    start, end
        Unix seconds by the clock of the head, half-open; no end: it runs.
    interval_ms
        Between two readings of a GPU.
    bandwidth, nvlink
        Whether the output has bytes over PCIe and NVLink.
    """

    id: str
    name: str
    start: float
    end: float | None
    interval_ms: int
    bandwidth: bool = False
    nvlink: bool = False

    @property
    def runs(self) -> bool:
        """Whether it has no end yet."""
        return self.end is None


class SessionStore:
    """The sessions of a head, one file each, written as a whole.

    Parameters
    ----------
    folder
        Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InfrastructureError(f"{folder} can't be made: {error.strerror}.") from error

    def all(self) -> list[Session]:
        """Give all sessions, by their start."""
        found = [self._read(path) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda session: (session.start, session.id))

    def running(self) -> list[Session]:
        """Give those that run."""
        return [session for session in self.all() if session.runs]

    def find(self, name: str) -> Session:
        """Give the session of a name or an id.

        Raises
        ------
        AbsentError
            When there is none; the message names those that there are.
        """
        sessions = self.all()
        for session in sessions:
            if name in (session.name, session.id):
                return session
        known = ", ".join(session.name for session in sessions[-10:]) or "none"
        raise AbsentError(f"There is no session {name!r}; there: {known}.")

    def begin(
        self,
        name: str | None,
        interval_ms: int,
        *,
        bandwidth: bool = False,
        nvlink: bool = False,
        start: float | None = None,
        end: float | None = None,
    ) -> Session:
        """Begin a session, or cut one out of the past.

        Parameters
        ----------
        name
            Letters, digits, ".", "_" and "-", 64 at most; made from the time when None.
        interval_ms, bandwidth, nvlink
            As in `Session`.
        start, end
            Unix seconds; now and none by default.

        Raises
        ------
        InputError
            When the name can't name a file, or the window is empty or lies in the future.
        ConflictError
            When the name is taken.
        """
        now = time.time()
        begun = now if start is None else start
        _check_window(begun, end, now)
        with self._lock:
            if name is None:
                name = time.strftime("profile-%Y%m%d-%H%M%S", time.gmtime(begun))
                name = name if self._free(name) else f"{name}-{secrets.token_hex(2)}"
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"name {name[:80]!r}: expected 1 to 64 letters, digits, '.', '_' or '-', and a "
                    "letter or digit first: the output files are named so."
                )
            if not self._free(name):
                raise ConflictError(
                    f"A session {name!r} is there already. Choose another name: the output of "
                    "the first is not overwritten."
                )
            identifier = f"{int(now * 1000):x}-{secrets.token_hex(3)}"
            session = Session(identifier, name, begun, end, interval_ms, bandwidth, nvlink)
            self._write(session)
        return session

    def stop(self, session: Session, end: float | None = None) -> Session:
        """End a session now; one that has ended stays as it is."""
        with self._lock:
            session = self.find(session.id)
            if session.runs:
                session = dataclasses.replace(session, end=end or time.time())
                self._write(session)
        return session

    def resume(self, session: Session) -> Session:
        """Have a session go on, from its start and without a gap; one that runs stays as it is."""
        with self._lock:
            session = dataclasses.replace(self.find(session.id), end=None)
            self._write(session)
        return session

    def _free(self, name: str) -> bool:
        return all(session.name != name for session in self.all())

    def _write(self, session: Session) -> None:
        write_json(
            self._folder / f"{session.id}.json", {"schema": 1, **dataclasses.asdict(session)}
        )

    def _read(self, path: Path) -> Session:
        try:
            content = json.loads(path.read_bytes())
            end = content["end"]
            return Session(
                str(content["id"]),
                str(content["name"]),
                float(content["start"]),
                None if end is None else float(end),
                int(content["interval_ms"]),
                bool(content["bandwidth"]),
                bool(content["nvlink"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InfrastructureError(
                f"{path} is no session: {error}. Move it away, then ask again; the data that it "
                "named is still stored."
            ) from error


def _check_window(start: float, end: float | None, now: float) -> None:
    if not math.isfinite(start) or (end is not None and not math.isfinite(end)):
        raise InputError("start and end: expected finite times.")
    if start > now + _FUTURE_SECONDS or (end is not None and end > now + _FUTURE_SECONDS):
        raise InputError("The window lies in the future: expected start and end up to now.")
    if end is not None and end <= start:
        raise InputError("The window is empty: expected start < end.")
