"""A recording: the readings of one node in one SQLite file, for where no other program may be installed.

Rows lie in the order of time (their key), in write-ahead mode: a process that is killed loses what it
had not committed yet, a second at most, and damages nothing.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from escalade.errors import AbsentError, InputError, NoDataError
from escalade.profiler.reading import FIGURES, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

APPLICATION = 0x45534350
"""SQLite's `application_id` of a recording."""
SCHEMA = 1
_COLUMNS = [figure.name for figure in FIGURES]
_TABLES = f"""
CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE gpu (id INTEGER PRIMARY KEY, number INTEGER, name TEXT, uuid TEXT UNIQUE);
CREATE TABLE reading (
  time REAL NOT NULL, gpu INTEGER NOT NULL, {", ".join(f"{name} REAL" for name in _COLUMNS)},
  PRIMARY KEY (time, gpu)
) WITHOUT ROWID;
"""
Row = tuple[float, str, int, str, dict[str, float]]
"""Time, UUID, index, model, values."""


class Recording:
    """One file, open to be read.

    Parameters
    ----------
    path
        The file; it may be written to at the same time.

    Raises
    ------
    AbsentError
        When it is not there.
    InputError
        When it is no recording, of another version, or damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise AbsentError(f"There is no recording {path}.")
        self.path = path
        self._facts: dict[str, Any] = {}
        with self._opened() as base:
            self._facts = _facts(base, path)

    @property
    def node(self) -> str:
        """Whose it is."""
        return str(self._facts["node"])

    @property
    def interval_ms(self) -> int:
        """Between two readings."""
        return int(self._facts["interval_ms"])

    @property
    def late(self) -> int:
        """Readings that were left out because the one before took too long."""
        return int(self._facts.get("late", 0))

    @property
    def bandwidth(self) -> bool:
        """Whether bytes over PCIe were read."""
        return bool(self._facts["bandwidth"])

    @property
    def nvlink(self) -> bool:
        """Whether bytes over NVLink were read."""
        return bool(self._facts["nvlink"])

    def span(self) -> tuple[float, float]:
        """Give the times of the first and the last reading.

        Raises
        ------
        NoDataError
            When there is none.
        """
        with self._opened() as base:
            first, last = base.execute("SELECT min(time), max(time) FROM reading").fetchone()
        if first is None:
            raise NoDataError(f"The recording {self.path} holds no reading yet.")
        return float(first), float(last)

    def readings(self, start: float, end: float) -> Iterator[Reading]:
        """Give the readings of [start, end), in the order of time."""
        with self._opened() as base:
            gpus = {
                key: (int(number), str(name), str(uuid))
                for key, number, name, uuid in base.execute(
                    "SELECT id, number, name, uuid FROM gpu"
                )
            }
            rows = base.execute(
                f"SELECT time, gpu, {', '.join(_COLUMNS)} FROM reading "  # noqa: S608 - our names
                "WHERE time >= ? AND time < ? ORDER BY time, gpu",
                (start, end),
            )
            for time, key, *values in rows:
                named = zip(_COLUMNS, values, strict=True)
                found = {name: float(value) for name, value in named if value is not None}
                yield Reading(float(time), self.node, *gpus[key], found)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as base:
                base.execute("PRAGMA query_only = 1")
                yield base
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error


class Recordings:
    """Recordings of several nodes as one `Source`.

    Parameters
    ----------
    several
        Of different nodes, or of one node at different times.
    """

    def __init__(self, several: Sequence[Recording]) -> None:
        self._several = several

    def readings(self, start: float, end: float) -> Iterator[Reading]:
        """Give the readings of all, in the order of time."""
        return heapq.merge(
            *(one.readings(start, end) for one in self._several), key=lambda reading: reading.time
        )


class RecordingFile:
    """One file, open to be written.

    Parameters
    ----------
    path
        Made where it is missing; else the recording goes on.
    facts
        `node`, `interval_ms`, `bandwidth`, `nvlink`.
    exclusive
        Whether nobody reads it meanwhile: then it may lie on a file system of several machines,
        which can't share the memory that readers and writer need.

    Raises
    ------
    InputError
        When the file is something else, damaged, or of another node.
    sqlite3.Error
        When it can't be written now.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], *, exclusive: bool = False) -> None:
        there = path.exists() and path.stat().st_size > 0
        if there and (known := Recording(path)).node != facts["node"]:
            raise InputError(
                f"{path} is the recording of node {known.node!r}, this is {facts['node']!r}. Name "
                "another file by --out."
            )
        self._base = sqlite3.connect(path, timeout=10, isolation_level=None)
        if exclusive:
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        if not there:
            self._base.execute(f"PRAGMA application_id = {APPLICATION}")
            self._base.executescript(_TABLES)
        with self._change():
            for key, value in {"schema": SCHEMA, **facts}.items():
                self.note(key, value)
        self._gpus: dict[str, int] = {}

    def note(self, key: str, value: object) -> None:
        """Write a fact, as JSON."""
        self._base.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (key, json.dumps(value)))

    def add(self, rows: Sequence[Row], late: int) -> None:
        """Write readings, all or none.

        Raises
        ------
        sqlite3.Error
            When the disk is full, or the file is gone.
        """
        marks = ", ".join("?" * (len(_COLUMNS) + 2))
        gpus = dict(self._gpus)
        with self._change():
            for _, uuid, number, name, _ in rows:
                if uuid not in gpus:
                    gpus[uuid] = self._gpu(uuid, number, name)
            self._base.executemany(
                f"INSERT OR IGNORE INTO reading VALUES ({marks})",  # noqa: S608 - our marks
                [
                    (time, gpus[uuid], *(values.get(column) for column in _COLUMNS))
                    for time, uuid, _, _, values in rows
                ],
            )
            self.note("late", late)
        self._gpus = gpus

    def close(self) -> None:
        """Close the file: what is in the write-ahead log goes into it."""
        self._base.close()

    def _gpu(self, uuid: str, number: int, name: str) -> int:
        self._base.execute(
            "INSERT OR IGNORE INTO gpu (number, name, uuid) VALUES (?, ?, ?)", (number, name, uuid)
        )
        found = self._base.execute("SELECT id FROM gpu WHERE uuid = ?", (uuid,)).fetchone()
        return int(found[0])

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            raise


def _facts(base: sqlite3.Connection, path: Path) -> dict[str, Any]:
    (application,) = base.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION:
        raise InputError(
            f"{path} is no recording: expected a file that `escalade profile record` wrote."
        )
    facts = {key: json.loads(value) for key, value in base.execute("SELECT key, value FROM fact")}
    if facts.get("schema") != SCHEMA:
        raise InputError(
            f"{path} is a recording of version {facts.get('schema')}; this Escalade reads {SCHEMA}."
        )
    return facts


def _damaged(path: Path, error: sqlite3.Error) -> InputError:
    return InputError(
        f"{path} can't be read as a recording: {error}. `sqlite3 {path} .recover` may still get "
        "rows out of a damaged file."
    )
