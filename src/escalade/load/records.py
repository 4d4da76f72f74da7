"""The request log: one row per planned request, in memory until the step is over.

Columns are flat arrays, since an object per request would cost more than sending
it. Nothing is written while requests are sent: 20,000 rows block for 12 ms.
"""

from __future__ import annotations

import json
import re
from array import array
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from escalade.files import replacing
from escalade.load.conversation import ALONE, CONVERSATION, TURN
from escalade.load.outcomes import ERRORS
from escalade.load.spread import spread

__all__ = ["ERRORS", "SCHEMA", "Records", "write_requests"]

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from escalade.load.rows import PlannedRows

SCHEMA = pa.schema(
    [
        ("step", pa.int16()),
        ("repetition", pa.int16()),
        ("worker", pa.int16()),
        ("index", pa.int32()),
        ("phase", pa.string()),
        ("payload_id", pa.int64()),
        ("planned_at", pa.float64()),
        ("sent_at", pa.float64()),
        ("first_chunk_at", pa.float64()),
        ("last_chunk_at", pa.float64()),
        ("ended_at", pa.float64()),
        ("chunk_offsets", pa.list_(pa.float64())),
        ("status", pa.int16()),
        ("error", pa.string()),
        ("input_tokens", pa.int32()),
        ("output_tokens", pa.int32()),
        ("cached_tokens", pa.int32()),
        ("bytes_in", pa.int64()),
        ("leaving", pa.bool_()),
        ("workload", pa.string()),
        ("conversation", pa.int32()),
        ("turn", pa.int16()),
        ("replica", pa.int16()),
    ]
)
LATER = ("leaving", "workload", "conversation", "turn", "replica")
"""Columns that request logs of earlier versions don't have; null where a workload has no use for them."""
REQUIRED = tuple(name for name in SCHEMA.names if name not in LATER)
_NULLABLE = ("input_tokens", "output_tokens", "cached_tokens")
_NOTE_NAME = re.compile(r"[a-z][a-z0-9_]*")
NOT_DUE = "not_due"
_UNKNOWN = -1  # a token count that the server did not give
NOTE = "note_"
"""What the columns of a workload's own figures begin with; a log without any has none."""


class Records:
    """What happened to each planned request of a step.

    Times are those of `clock.now()`; `table` turns them into Unix seconds. Rows are
    addressed by their place in the schedule.

    Parameters
    ----------
    rows
        The plan.
    replicas
        Number of copies of the service that the rows are spread over.
    """

    def __init__(self, rows: PlannedRows, replicas: int = 1) -> None:
        self.rows = rows
        self.replica = array("h", spread(rows, replicas).tolist()) if replicas > 1 else None
        count = len(rows)
        self.due = array("d", [nan]) * count  # of later turns, once known
        self.sent = array("d", [nan]) * count
        self.ended = array("d", [nan]) * count
        self.status = array("h", [0]) * count
        self.errors: list[str | None] = [None] * count
        self.chunks: list[array[float] | None] = [None] * count
        self.input_tokens = array("i", [_UNKNOWN]) * count
        self.output_tokens = array("i", [_UNKNOWN]) * count
        self.cached_tokens = array("i", [_UNKNOWN]) * count
        self.bytes_in = array("q", [0]) * count
        self.notes: dict[str, array[float]] = {}

    def send(self, row: int, at: float) -> bool:
        """Note the first send of a row, and say that it is; later ones don't move it."""
        if is_first := isnan(self.sent[row]):
            self.sent[row] = at
        return is_first

    def chunk(self, row: int, at: float) -> None:
        """Note a piece of the answer that carries a token."""
        chunks = self.chunks[row]
        if chunks is None:
            self.chunks[row] = array("d", [at])
        else:
            chunks.append(at)

    def chunk_count(self, row: int) -> int:
        """Give the number of chunks noted so far."""
        return len(self.chunks[row] or ())

    def tokens(
        self, row: int, received: int | None, generated: int | None, cached: int | None
    ) -> None:
        """Note the server's own counts; None is what it did not say."""
        self.input_tokens[row] = _UNKNOWN if received is None else received
        self.output_tokens[row] = _UNKNOWN if generated is None else generated
        self.cached_tokens[row] = _UNKNOWN if cached is None else cached

    def note(self, row: int, name: str, value: float | None) -> None:
        """Note a figure of the workload's own; None makes its column and leaves it empty.

        Raises
        ------
        ValueError
            When the name can't be that of a column.
        """
        if name not in self.notes:
            if not _NOTE_NAME.fullmatch(name):
                raise ValueError(f"note {name!r}: expected small letters, digits and _ as a name")
            self.notes[name] = array("d", [nan]) * len(self.rows)
        self.notes[name][row] = nan if value is None else value

    def end(self, row: int, at: float, status: int, error: str | None) -> None:
        """Note the end of a request of a row; of several, the first error stays."""
        self.ended[row] = at
        if self.errors[row] is None:
            self.errors[row] = error
            self.status[row] = status

    def leave(self, row: int, at: float) -> None:
        """Note that the task of a row is over; one whose request never ended is lost."""
        if isnan(self.sent[row]):
            self.errors[row] = self.errors[row] or "not_sent"
        elif isnan(self.ended[row]):
            self.end(row, at, 0, "aborted")

    def cut(self, count: int) -> None:
        """Keep the first `count` rows: no others were handed out."""
        self.rows = self.rows.first(count)
        self.notes = {name: noted[:count] for name, noted in self.notes.items()}
        for name, column in vars(self).items():
            if name not in ("rows", "notes") and column is not None:
                setattr(self, name, column[:count])

    def close(self, unfinished: str) -> None:
        """Give every row that has no end its error: `not_sent`, or `unfinished` if sent."""
        for row, (sent, ended) in enumerate(zip(self.sent, self.ended, strict=True)):
            if isnan(ended) and self.errors[row] is None:
                self.errors[row] = "not_sent" if isnan(sent) else unfinished
        never = np.isinf(self.rows.offset_seconds) & np.isnan(self.due)
        for row in np.flatnonzero(never).tolist():
            self.errors[row] = NOT_DUE

    def _replica_of_each(self) -> np.ndarray | None:
        """Give the number of the copy that each row went to, from 1; None where there is one copy."""
        return None if self.replica is None else np.asarray(self.replica) + 1

    def table(self, repetition: int, worker: int, epoch: float, offset: float) -> pa.Table:
        """Give the log as a table in `SCHEMA`, with a column for each name that was noted.

        Parameters
        ----------
        repetition, worker
            What the columns of that name say.
        epoch
            `clock.now()` at the step's offset 0; NaN when the step never began.
        offset
            What to add to `clock.now()` for Unix seconds.
        """
        count = len(self.rows)
        offsets = self.rows.offset_seconds
        planned = np.where(np.isinf(offsets), np.asarray(self.due), epoch + offsets)
        start, _ = self.rows.plan.bounds("window")
        inside = np.where(
            np.isinf(offsets) & ~np.isnan(planned), planned - epoch >= start, self.rows.in_window
        )
        chunks = [chunks or array("d") for chunks in self.chunks]
        edges = np.cumsum([0, *(len(times) for times in chunks)])
        gaps = [np.asarray(times) - times[0] for times in chunks if times]
        columns = {
            "step": np.full(count, self.rows.plan.step),
            "repetition": np.full(count, repetition),
            "worker": np.full(count, worker),
            "index": self.rows.index,
            "phase": np.where(inside, "window", "warmup"),
            "payload_id": self.rows.payload_id,
            "planned_at": planned + offset,
            "sent_at": np.asarray(self.sent) + offset,
            "first_chunk_at": np.array([times[0] if times else nan for times in chunks]) + offset,
            "last_chunk_at": np.array([times[-1] if times else nan for times in chunks]) + offset,
            "ended_at": np.asarray(self.ended) + offset,
            "chunk_offsets": pa.ListArray.from_arrays(
                pa.array(edges, pa.int32()), np.concatenate([*gaps, np.empty(0)])
            ),
            "status": np.asarray(self.status),
            "error": pa.array(self.errors, pa.string()),
            "bytes_in": np.asarray(self.bytes_in),
        }
        for name in _NULLABLE:
            counts = np.asarray(getattr(self, name))
            columns[name] = pa.array(counts, pa.int32(), mask=counts == _UNKNOWN)
        columns["leaving"] = _or_nulls(self.rows.leaving, count)
        columns["workload"] = _or_nulls(self.rows.workload, count)
        columns["replica"] = _or_nulls(self._replica_of_each(), count)
        for name in (CONVERSATION, TURN):
            numbers = self.rows.extra.get(name)
            alone = None if numbers is None else numbers == ALONE[name]
            columns[name] = _or_nulls(numbers, count, alone)
        arrays = [pa.array(columns[field.name]).cast(field.type) for field in SCHEMA]
        table = pa.Table.from_arrays(arrays, schema=SCHEMA)
        for name, values in sorted(self.notes.items()):
            noted = np.asarray(values)
            table = table.append_column(f"{NOTE}{name}", pa.array(noted, mask=np.isnan(noted)))
        return table


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Join logs of several steps or workers; a note that one of them lacks is empty there."""
    return pa.concat_tables(tables, promote_options="default")


def write_requests(path: Path, table: pa.Table) -> None:
    """Write the request log of one step to Parquet, whole or not at all.

    Parameters
    ----------
    path
        Where to.
    table
        In `SCHEMA`, and columns of notes, as `Records.table` gives it; logs of several
        workers may be `joined`.
    """
    write_steps(path, [table], table.column_names)


def write_steps(path: Path, tables: Iterable[pa.Table], names: Iterable[str]) -> None:
    """Write the request logs of several steps one after the other, whole or not at all.

    Parameters
    ----------
    path
        Where to.
    tables
        One for each step. Each has row groups of its own, so that a reader finds a step's
        without reading the others.
    names
        Columns of any of them; a note that one lacks is empty there.

    Notes
    -----
    The pandas metadata make a reader's token counts nullable integers; without
    them a count of a failed request would turn all of them into floats.
    """
    notes = sorted({name for name in names if name.startswith(NOTE)})
    schema = pa.schema([*SCHEMA, *((name, pa.float64()) for name in notes)])
    described = schema.with_metadata({b"pandas": _pandas_metadata()})
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, described, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(_typed(table, schema).cast(described))


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    for name in (*LATER, *(name for name in schema.names if name.startswith(NOTE))):
        if name not in table.column_names:
            field = schema.field(name)
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(schema.names).cast(schema)


def _or_nulls(values: np.ndarray | None, count: int, mask: np.ndarray | None = None) -> pa.Array:
    return pa.nulls(count) if values is None else pa.array(values, mask=mask)


def _pandas_metadata() -> bytes:
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": str(SCHEMA.field(name).type),
            "numpy_type": str(SCHEMA.field(name).type).capitalize(),
            "metadata": None,
        }
        for name in (*_NULLABLE, CONVERSATION, TURN, "replica")
    ]
    described = {"index_columns": [], "column_indexes": [], "columns": columns}
    return json.dumps(described | {"pandas_version": "3"}).encode()
