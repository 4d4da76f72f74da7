"""The files of a session: JSON with a frame on each line, and Parquet with a row for each GPU of a frame.

Both are written frame by frame: what is in memory does not grow with the session.
"""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from escalade import __version__
from escalade.profiler.columns import columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import IO

    from escalade.profiler.columns import Cells
    from escalade.profiler.frames import Frame, Gap
    from escalade.profiler.sessions import Session
    from escalade.profiler.summary import Summary

SCHEMA = 1
METADATA = b"escalade"
"""Key of the Parquet file's metadata that has facts, units, summaries and gaps as JSON."""
_ROWS = 50_000


class Writer(Protocol):
    """Takes frames in the order of time, and what is known at the end."""

    def add(self, frame: Frame, cells: Cells) -> None:
        """Take a frame, and what `cells_of` gives of it."""
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

    def add(self, frame: Frame, cells: Cells) -> None:
        """Write one line."""
        shown = frame.shown
        head: dict[str, Any] = {
            "frame_id": frame.tick,
            "time": iso(frame.time),
            "gpu_id": [it.reading.device for it in shown],
            "timestamp": [round(it.reading.time, 3) for it in shown],
        }
        end: dict[str, Any] = {
            "after_gap": [it.reading.device for it in shown if it.after_gap],
            "missing": frame.missing,
        }
        columns = "".join(f',"{name}":[{_texts(cells[name])}]' for name in self._columns)
        before, after = _compact(head)[:-1], _compact(end)[1:]
        self._opened.write(f"{'' if self._first else ','}\n{before}{columns},{after}")
        self._first = False

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
        self._rows: dict[str, list[Any]] = {name: [] for name in self._schema.names}

    def add(self, frame: Frame, cells: Cells) -> None:
        """Take the rows of a frame."""
        rows, readings = self._rows, [it.reading for it in frame.shown]
        rows["frame_id"] += [frame.tick] * len(readings)
        rows["time"] += [round(frame.time * 1000)] * len(readings)
        rows["timestamp"] += [round(reading.time * 1000) for reading in readings]
        rows["node"] += [reading.node for reading in readings]
        rows["gpu"] += [reading.gpu for reading in readings]
        rows["gpu_id"] += [reading.device for reading in readings]
        for name in self._columns:
            rows[name] += cells[name]
        rows["after_gap"] += [it.after_gap for it in frame.shown]
        if len(rows["frame_id"]) >= _ROWS:
            self._flush()

    def close(self, summary: Summary, gaps: list[Gap]) -> None:
        """Write the last rows, and summaries and gaps as metadata."""
        self._flush()
        content = json.dumps({**self._facts, **_end(summary, gaps)}, allow_nan=False)
        self._writer.add_key_value_metadata({METADATA: content.encode()})
        self._writer.close()

    def _flush(self) -> None:
        if self._rows["frame_id"]:
            arrays = [pa.array(self._rows[field.name], field.type) for field in self._schema]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        for column in self._rows.values():
            column.clear()


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


def _compact(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _texts(values: Sequence[float | None]) -> str:
    """Write numbers with twelve significant digits; no number of NVML's has more."""
    texts = ",".join(["null" if value is None else f"{value:.12g}" for value in values])
    if "n" in texts.replace("null", ""):  # inf and nan are no JSON
        return ",".join(
            "null" if value is None or not math.isfinite(value) else f"{value:.12g}"
            for value in values
        )
    return texts


def _number(value: float | None) -> float | int | None:
    """Give ten significant digits, and whole numbers without a point."""
    if value is None:
        return None
    short = float(f"{value:.10g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
