"""Open the file of a session: our JSON, our Parquet, or the JSON of gswarm 0.4.3."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from escalade.errors import AbsentError, InputError
from escalade.profiler.stat import gswarm
from escalade.profiler.stat.document import Document
from escalade.profiler.stat.rows import BATCH, Devices, Facts, Rows, unix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from escalade.profiler.stat.rows import Profile

_MAGIC = b"PAR1"
_METADATA = b"escalade"
_TIMES = ("time", "timestamp")
_EXPECTED = "expected the JSON or Parquet file that a session was written to"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Profile]:
    """Open the file of a session; which kind it is of is seen by its content.

    Raises
    ------
    InputError
        When it is missing, of another kind, or broken; also while its rows are read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(len(_MAGIC))
    except FileNotFoundError:
        raise AbsentError(f"{path} is not there: {_EXPECTED}.") from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}; {_EXPECTED}.") from error
    if not begin:
        raise InputError(f"{path} is empty: {_EXPECTED}.")
    if begin == _MAGIC:
        yield _ParquetProfile(path)
        return
    with path.open(encoding="utf-8-sig") as text:
        yield _JsonProfile(path, Document(path, text, "frames"))


class _JsonProfile:
    """Frames one by one; summaries and gaps stand behind them."""

    def __init__(self, path: Path, document: Document) -> None:
        self._path = path
        self._members = document.members()
        self._first: dict[str, Any] | None = None
        head: dict[str, Any] = {}
        for name, value in self._members:
            if name == "frames" and isinstance(value, dict):
                self._first = value
                break
            head[name] = value
        if "units" in head:
            self.facts = _facts(path, head)
            self._old = False
        elif gswarm.wrote(head, self._first):
            self.facts = gswarm.facts(path)
            self._old = True
        else:
            raise InputError(
                f"{path} is JSON, but not of a session: {_EXPECTED} (`units`, then `frames`), or "
                "one of gswarm 0.4.3."
            )
        self.devices = Devices()
        self.gaps: list[dict[str, Any]] = head.get("gaps", [])

    def rows(self) -> Iterator[Rows]:
        """Give all readings."""
        if self._first is None:
            return
        columns = [name for name in self.facts.units if name not in _TIMES]
        table = _Table(self._path, columns, self.devices)
        for number, frame in enumerate(self._frames()):
            if self._old:
                frame = gswarm.frame(frame, number, self._path)  # noqa: PLW2901 - as ours has it
            table.add(frame)
            if table.length >= BATCH:
                yield table.rows()
        if table.length:
            yield table.rows()

    def _frames(self) -> Iterator[dict[str, Any]]:
        assert self._first is not None  # noqa: S101 - as `rows` has seen
        yield self._first
        for name, value in self._members:
            if name == "frames":
                if not isinstance(value, dict):
                    raise InputError(f"{self._path}: a frame is no object: {str(value)[:60]}.")
                yield value
            elif name == "gaps" and isinstance(value, list):
                self.gaps = value


class _Table:
    """Gathers frames until they are many."""

    def __init__(self, path: Path, columns: list[str], devices: Devices) -> None:
        self._path, self._devices = path, devices
        self._device: list[int] = []
        self._tick: list[int] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in ("timestamp", *columns)}

    @property
    def length(self) -> int:
        return len(self._device)

    def add(self, frame: dict[str, Any]) -> None:
        """Take a frame in; a column that it lacks has no values."""
        tick, names = frame.get("frame_id"), frame.get("gpu_id")
        if type(tick) is not int or tick < 0 or not isinstance(names, list):
            raise InputError(
                f"{self._path}: a frame without frame_id and gpu_id: {str(frame)[:80]}."
            )
        count = len(names)
        for name, column in self._columns.items():
            values = frame.get(name)
            if values is None and name != "timestamp":
                values = [None] * count
            if not isinstance(values, list) or len(values) != count:
                raise InputError(
                    f"{self._path}, frame {tick}: {name}: expected a list of {count} values, as "
                    "many as gpu_id has."
                )
            column.extend(values)
        try:
            self._device += [self._devices.place(name) for name in names]
        except TypeError:
            raise InputError(f"{self._path}, frame {tick}: gpu_id: expected names.") from None
        self._tick += [tick] * count

    def rows(self) -> Rows:
        """Give what was gathered, and begin anew."""
        values = {name: self._numbers(name) for name in self._columns}
        if np.isnan(values["timestamp"]).any():
            raise InputError(f"{self._path}: timestamp: expected a number for each GPU.")
        rows = Rows(
            np.array(self._device, dtype=np.int64),
            np.array(self._tick, dtype=np.int64),
            values.pop("timestamp"),
            values,
        )
        self._device, self._tick = [], []
        for column in self._columns.values():
            column.clear()
        return rows

    def _numbers(self, name: str) -> np.ndarray:
        try:
            numbers = np.array(self._columns[name], dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            numbers = np.array([np.inf])
        if np.isinf(numbers).any() or numbers.ndim != 1:
            raise InputError(
                f"{self._path}, frames {self._tick[0]} to {self._tick[-1]}: {name}: expected "
                "finite numbers and null."
            )
        return numbers


class _ParquetProfile:
    """A row for each GPU of a frame; all else in the metadata."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            stored = self._file.metadata.metadata or {}
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} is broken Parquet: {error}.") from error
        try:
            content = json.loads(stored[_METADATA])
        except (KeyError, ValueError):
            raise InputError(f"{path} is Parquet, but not of a session: {_EXPECTED}.") from None
        self.facts = _facts(path, content)
        self.devices = Devices()
        self.gaps: list[dict[str, Any]] = content.get("gaps", [])

    def rows(self) -> Iterator[Rows]:
        """Give all readings."""
        there = set(self._file.schema_arrow.names)
        columns = [name for name in self.facts.units if name in there and name not in _TIMES]
        if missing := [name for name in ("frame_id", "timestamp", "gpu_id") if name not in there]:
            raise InputError(f"{self._path} lacks the column(s) {', '.join(missing)}.")
        try:
            for group in range(self._file.num_row_groups):  # of all at once it reads ahead
                for batch in self._file.iter_batches(
                    BATCH, [group], columns=["frame_id", "timestamp", "gpu_id", *columns]
                ):
                    yield self._rows(batch, columns)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self._path} is broken Parquet: {error}.") from error

    def _rows(self, batch: Any, columns: list[str]) -> Rows:
        names = batch.column("gpu_id").cast(pa.string()).dictionary_encode()
        places = np.array([self.devices.place(it) for it in names.dictionary.to_pylist()], np.int64)
        times = batch.column("timestamp").cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        return Rows(
            places[names.indices.to_numpy()],
            batch.column("frame_id").to_numpy().astype(np.int64),
            times.to_numpy() / 1e6,
            {
                name: batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
                for name in columns
            },
        )


def _facts(path: Path, content: Mapping[str, Any]) -> Facts:
    try:
        units = {str(name): str(unit) for name, unit in content["units"].items()}
        interval = float(content["interval_ms"]) / 1000
        return Facts(
            str(content["session_name"]),
            str(content.get("tool", "")),
            unix(content["start_time"], path, "start_time"),
            unix(content["end_time"], path, "end_time"),
            interval,
            units,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path} is not of a session: {_EXPECTED}, with session_name, start_time, end_time, "
            f"interval_ms and units (at fault: {error})."
        ) from error
