"""The record of a session: what it is to watch, and where it was started.

`session.json` in the session's folder, written whole or not at all, and only by who holds the
session's lock (`flock`), which the kernel drops with the process. What runs is told by the keeper
in files of its own (`live`): the record holds what is wanted.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from escalade.errors import AbsentError, ConflictError, InfrastructureError, InputError
from escalade.files import write_json
from escalade.monitoring.sessions import locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCHEMA = 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = "session.json"
_LOCK = "lock"
_ROOT_LOCK = ".lock"
_EVENTS_KEPT = 200

Kind = Literal["service", "node", "dcgm", "gpu", "process"]
"""What a page tells of: a service, or what an exporter of that kind reads."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Client(_Part):
    """Whoever deploys services: the client of the two interfaces in the design."""

    id: str
    node: str


class Page(_Part):
    """A /metrics page that the session watches."""

    kind: Kind
    name: str
    """Of the service; of an exporter its kind and node."""
    client_id: str | None = None
    node: str | None = None
    given: str
    """As it was registered."""
    hosts: tuple[str, ...]
    """Where it may be, the likeliest first: one where the host was said."""
    port: int
    path: str = "/metrics"
    ours: bool = False
    """Whether the session starts and ends it."""
    said_on: str = ""
    """Machine where it was registered: what 127.0.0.1 means."""
    job: str | None = None
    """The job on whose nodes it was found, or runs."""
    gpus: int = 0
    """GPUs per node that the exporter of another job asks for."""

    @property
    def key(self) -> str:
        """What tells it from others: kind, client and name."""
        return json.dumps([self.kind, self.client_id, self.name], ensure_ascii=False)


class Launch(_Part):
    """One start of the session's Prometheus."""

    token: str
    launcher: Literal["local", "slurm"]
    at: float
    host: str
    """Where the command was typed."""
    job: str | None = None
    tools: str
    """Folder of Prometheus and the exporters."""
    interface: str | None = None
    stopped_at: float | None = None


class Event(_Part):
    """Something that was done to the session."""

    at: float
    what: str


class Record(_Part):
    """All that is kept of a session."""

    schema_number: Literal[1] = Field(1, alias="schema")
    id: str
    created_at: float
    prom_host: str
    port: int
    scrape_interval_seconds: float
    rules: tuple[str, ...] = ()
    """Names of its rule files, in `rules` of its folder."""
    clients: tuple[Client, ...] = ()
    pages: tuple[Page, ...] = ()
    addresses: dict[str, str] = {}
    """Hosts that Prometheus reached, by the page's key; of this start."""
    ports: dict[str, int] = {}
    """Ports of exporters that were started while it ran, by the page's key; of this start."""
    launch: Launch | None = None
    revision: int = 0
    events: tuple[Event, ...] = ()

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    def changed(self, what: str, **values: object) -> Record:
        """Give the record with other values and an event more."""
        events = (*self.events, Event(at=time.time(), what=what))[-_EVENTS_KEPT:]
        return self.model_copy(update={**values, "events": events, "revision": self.revision + 1})


class SessionFolder:
    """The folder of one session.

    Parameters
    ----------
    root
        Of all sessions.
    session
        Its id: letters, digits, `.`, `_` and `-`, at most 64.

    Raises
    ------
    InputError
        When the id can't name a folder.
    """

    def __init__(self, root: Path, session: str) -> None:
        if not _ID.fullmatch(session):
            raise InputError(
                f"{session!r} can't be the id of a session: expected at most 64 letters, digits, "
                ". _ and -, the first a letter or a digit, as in bench01."
            )
        self.root = root.absolute()
        self.id = session
        self.path = self.root / session

    @classmethod
    def at(cls, path: Path) -> SessionFolder:
        """Give the session that lies in a folder."""
        return cls(path.parent, path.name)

    @property
    def prometheus(self) -> Path:
        """Configuration and data of Prometheus."""
        return self.path / "prometheus"

    @property
    def logs(self) -> Path:
        """Logs of the keeper, Prometheus and the exporters."""
        return self.path / "logs"

    @property
    def rules(self) -> Path:
        """Rule files."""
        return self.path / "rules"

    @property
    def keeper_lock(self) -> Path:
        """Held while a keeper runs on this machine, from before it begins; says who it is."""
        return self.path / "keeper.lock"

    def exists(self) -> bool:
        """Tell whether there is such a session, readable or not."""
        return (self.path / _FILE).exists()

    def read(self) -> Record:
        """Read the record.

        Raises
        ------
        InputError
            When there is no such session, or its record is damaged or of another version: says
            where, what is wrong, and what to do.
        """
        path = self.path / _FILE
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise self._absent() from None
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(f"it can't be read as JSON ({error})") from error
        found = content.get("schema") if isinstance(content, dict) else None
        if isinstance(found, int) and found > SCHEMA:
            raise ConflictError(
                f"{path} has schema {found}, and this Escalade knows {SCHEMA}: a newer one wrote "
                "it. Use that one for this session."
            )
        try:
            record = Record.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise self._damaged(f"{where}: {first['msg']}") from error
        if record.id != self.id:
            raise self._damaged(f"it is the record of session {record.id!r}")
        return record

    def write(self, record: Record) -> None:
        """Write the record; the caller holds the lock."""
        for left in self.path.glob(f".{_FILE}.*.tmp"):  # by a command that was killed
            left.unlink(missing_ok=True)
        write_json(self.path / _FILE, record.model_dump(mode="json", by_alias=True))

    def create(self, record: Record, rules: dict[str, str]) -> None:
        """Make the folder, whole or not at all.

        Raises
        ------
        InputError
            When there is a session of this id already.
        InfrastructureError
            When it can't be written.
        """
        if self.path.exists() and not self._is_remnant():
            raise self._taken()
        new = self.root / f".{self.id}.{secrets.token_hex(4)}.new"
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone_in_root():
                (new / "rules").mkdir(parents=True, mode=0o700)
                (new / "logs").mkdir()
                (new / _LOCK).touch(mode=0o600)
                for name, text in rules.items():
                    (new / "rules" / name).write_text(text, encoding="utf-8")
                write_json(new / _FILE, record.model_dump(mode="json", by_alias=True))
                if self._is_remnant():
                    shutil.rmtree(self.path)
                new.rename(self.path)
        except OSError as error:
            if self.path.exists():
                raise self._taken() from error
            raise InfrastructureError(
                f"Session {self.id} could not be created in {self.root}: "
                f"{error.strerror or error}. Nothing was left; free some space or name another "
                "folder with --state."
            ) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder; the caller holds the lock, and nothing runs in it.

        It loses its name at once: a session is there whole, or not at all.
        """
        gone = self.root / f".{self.id}.{secrets.token_hex(4)}.deleted"
        try:
            self.path.rename(gone)
        except OSError as error:
            raise InfrastructureError(
                f"{self.path} could not be removed: {error.strerror or error}. It is as it was."
            ) from error
        shutil.rmtree(gone, ignore_errors=True)
        with contextlib.suppress(OSError), self._alone_in_root():
            pass

    def busy(self) -> bool:
        """Tell whether a command is changing the session at this moment."""
        return locks.held(self.path / _LOCK)

    @contextlib.contextmanager
    def locked(self, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Hold the session's lock: one command at a time changes it.

        Parameters
        ----------
        given_up
            Asked while another command holds it; True ends the waiting.

        Raises
        ------
        InputError
            When there is no such session.
        InfrastructureError
            When another command holds it for two minutes, or the waiting was given up.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locks.holding(self.path / _LOCK, given_up))
            except FileNotFoundError:
                raise self._absent() from None
            except TimeoutError:
                raise InfrastructureError(
                    f"Session {self.id} is being changed by another command. Wait for it, or see "
                    f"which process has {self.path / _LOCK} open (`fuser`)."
                ) from None
            except OSError as error:
                raise InfrastructureError(
                    f"Session {self.id} can't be locked: {self.path / _LOCK}: "
                    f"{error.strerror or error}."
                ) from error
            yield

    @contextlib.contextmanager
    def _alone_in_root(self) -> Iterator[None]:
        """Be the only one that makes sessions here, and remove what killed commands left."""
        lock = self.root / _ROOT_LOCK
        with locks.holding(lock):
            try:
                for left in [*self.root.glob(".*.new"), *self.root.glob(".*.deleted")]:
                    shutil.rmtree(left, ignore_errors=True)
                yield
            finally:
                lock.unlink(missing_ok=True)

    def _is_remnant(self) -> bool:
        """Tell whether there are only last notes of processes whose session was removed by hand."""
        try:
            return {entry.name for entry in self.path.iterdir()} <= {"runs", _LOCK}
        except OSError:
            return False

    def _absent(self) -> AbsentError:
        known = ", ".join(session_ids(self.root)) or "none"
        return AbsentError(
            f"There is no session {self.id!r} in {self.root}; there: {known}. "
            f"`escalade monitor session-create --run-id {self.id}` makes one."
        )

    def _taken(self) -> ConflictError:
        return ConflictError(
            f"{self.path} exists: a session of that id was created before. Use it, name another "
            f"id, or `escalade monitor delete --session {self.id}`."
        )

    def _damaged(self, why: str) -> ConflictError:
        return ConflictError(
            f"The record {self.path / _FILE} is damaged: {why}. Nothing is done with it. Put the "
            f"file right, or `escalade monitor delete --session {self.id} --force`, which ends what "
            f"still runs of it; its data are in {self.prometheus / 'data'}."
        )


def session_ids(root: Path) -> list[str]:
    """Name the sessions in a folder, readable or not."""
    return sorted(
        path.parent.name for path in root.glob(f"*/{_FILE}") if _ID.fullmatch(path.parent.name)
    )
