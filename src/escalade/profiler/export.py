"""The files of a session: JSON with a frame on each line, and Parquet with a row for each GPU of a frame.

Both are written frame by frame: what is in memory does not grow with the session.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from escalade import __version__
from escalade.profiler.columns import columns

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from escalade.profiler.frames import Frame, Gap
    from escalade.profiler.sessions import Session
    from escalade.profiler.summary import Summary

SCHEMA = 1
METADATA = b"escalade"
"""Key of the Parquet file's metadata that has facts, units, summaries and gaps as JSON."""
_ROWS = 50_000


class Writer(Protocol):
    """Takes frames in the order of time, and what is known at the end."""

    def add(self, frame: Frame) -> None:
        """Take a frame."""
        ...

    def close(self, summary: Summary, gaps: list[Gap]) -> None:
        """Write the end."""
        ...


def facts_of(session: Session, end: float) -> dict[str, Any]:
    """Give what is known of a session before its frames: names, times, units."""
    shown = columns(bandwidth=session.bandwidth, nvlink=session.nvlink)
    return {
        "schema": SCHEMA,
        "tool": f"escalade {__version__}",
        "session_name": session.name,
        "session_id": session.id,
        "start_time": iso(session.start),
        "end_time": iso(end),
        "interval_ms": session.interval_ms,
        "units": {
            "time": "ISO 8601, begin of the frame",
            "timestamp": "s since 1970, clock of the node",
            **{name: column.unit for name, column in shown.items()},
        },
    }


class JsonWriter:
    """Writes the JSON file.

    Parameters
    ----------
    path
        The file.
    session
        That it is of.
    end
        Of its window, in Unix seconds.
    """

    def __init__(self, path: Path, session: Session, end: float) -> None:
        self._columns = columns(bandwidth=session.bandwidth, nvlink=session.nvlink)
        self._opened: IO[str] = path.open("w", encoding="utf-8")
        facts = json.dumps(facts_of(session, end), indent=1)
        self._opened.write(facts.removesuffix("\n}") + ',\n "frames": [')
        self._first = True

    def add(self, frame: Frame) -> None:
        """Write one line."""
        content: dict[str, Any] = {
            "frame_id": frame.tick,
            "time": iso(frame.time),
            "gpu_id": [it.reading.device for it in frame.shown],
            "timestamp": [round(it.reading.time, 3) for it in frame.shown],
        }
        for name, column in self._columns.items():
            content[name] = [_number(column.of(it)) for it in frame.shown]
        content["after_gap"] = [it.reading.device for it in frame.shown if it.after_gap]
        content["missing"] = frame.missing
        self._opened.write("\n" if self._first else ",\n")
        self._first = False
        self._opened.write(json.dumps(content, separators=(",", ":"), allow_nan=False))

    def close(self, summary: Summary, gaps: list[Gap]) -> None:
        """Write summaries and gaps."""
        end = json.dumps(_end(summary, gaps), indent=1, allow_nan=False)
        self._opened.write("\n ]," + end.removeprefix("{") + "\n")
        self._opened.close()


class ParquetWriter:
    """Writes the Parquet file; parameters as of `JsonWriter`."""

    def __init__(self, path: Path, session: Session, end: float) -> None:
        self._columns = columns(bandwidth=session.bandwidth, nvlink=session.nvlink)
        self._facts = facts_of(session, end)
        self._schema = pa.schema(
            [
                ("frame_id", pa.int64()),
                ("time", pa.timestamp("ms", "UTC")),
                ("timestamp", pa.timestamp("ms", "UTC")),
                ("node", pa.dictionary(pa.int32(), pa.string())),
                ("gpu", pa.int32()),
                ("gpu_id", pa.dictionary(pa.int32(), pa.string())),
                *((name, pa.float64()) for name in self._columns),
                ("after_gap", pa.bool_()),
            ]
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[tuple[Any, ...]] = []

    def add(self, frame: Frame) -> None:
        """Take the rows of a frame."""
        begin = round(frame.time * 1000)
        for it in frame.shown:
            reading = it.reading
            self._rows.append(
                (
                    frame.tick,
                    begin,
                    round(reading.time * 1000),
                    reading.node,
                    reading.gpu,
                    reading.device,
                    *(column.of(it) for column in self._columns.values()),
                    it.after_gap,
                )
            )
        if len(self._rows) >= _ROWS:
            self._flush()

    def close(self, summary: Summary, gaps: list[Gap]) -> None:
        """Write the last rows, and summaries and gaps as metadata."""
        self._flush()
        content = json.dumps({**self._facts, **_end(summary, gaps)}, allow_nan=False)
        self._writer.add_key_value_metadata({METADATA: content.encode()})
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            arrays = [
                pa.array(values, field.type)
                for values, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


def iso(at: float) -> str:
    """Give a time in ISO 8601 with its zone, UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _end(summary: Summary, gaps: list[Gap]) -> dict[str, Any]:
    return {
        "summary_by_device": _rounded(summary.by_device()),
        "summary_by_node": _rounded(summary.by_node()),
        "gaps": [
            {**dataclasses.asdict(gap), "start": iso(gap.start), "end": iso(gap.end)}
            for gap in gaps
        ],
    }


def _rounded(told: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        key: {name: _number(it) if isinstance(it, float) else it for name, it in entry.items()}
        for key, entry in told.items()
    }


def _number(value: float | None) -> float | int | None:
    """Give ten significant digits, and whole numbers without a point."""
    if value is None:
        return None
    short = float(f"{value:.10g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
