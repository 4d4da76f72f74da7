"""The files of a collected window.

metrics_summary.csv   one row per metric and statistic
slices/NAME.csv       the rows of one service
coverage.csv          how much of each target's scrapes there is
raw.parquet           samples as they were scraped
collection.json       window, Prometheus, what was asked, in full
MANIFEST.json         SHA-256 of each of them
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from escalade import manifest
from escalade.files import write_json, write_text
from escalade.monitoring.windows.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

    from escalade.monitoring.answers import Samples

SUMMARY, COVERAGE, RAW = "metrics_summary.csv", "coverage.csv", "raw.parquet"
COLLECTION, SLICES = "collection.json", "slices"

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_COLUMNS = tuple(entry.name for entry in fields(Row) if entry.name != "slice")
_TARGET = ("job", "instance", "interval", "expected", "received", "largest_gap", "coverage")
_ROWS_PER_GROUP = 1 << 20


class RawWriter:
    """Writes raw samples to raw.parquet piece by piece."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RAW
        self._writer: pq.ParquetWriter | None = None
        self.samples = 0

    def take(self, piece: Samples) -> None:
        """Write a piece; one row group is as long as a piece."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - a quarter of a second

        table = piece.table()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        if table.num_rows:
            self._writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
            self.samples += table.num_rows

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


def write(folder: Path, rows: Sequence[Row], content: Mapping[str, Any]) -> None:
    """Write tables, collection.json and the manifest beside the raw samples.

    Parameters
    ----------
    folder
        Where to; its files are covered by the manifest.
    rows
        The figures, of the whole and of slices.
    content
        Of collection.json.
    """
    run_id = str(content["run_id"])
    whole = [row for row in rows if row.slice is None]
    write_text(folder / SUMMARY, table(whole, run_id))
    names = sorted({row.slice for row in rows if row.slice is not None})
    files = slice_files(names)
    for name in names:
        own = [row for row in rows if row.slice == name]
        write_text(folder / SLICES / files[name], table(own, run_id))
    write_text(folder / COVERAGE, _csv(content["targets"], list(_TARGET)))
    slices = {name: f"{SLICES}/{file}" for name, file in files.items()}
    write_json(folder / COLLECTION, {**content, "slices": slices})
    manifest.write_manifest(folder, run_id)


def table(rows: Iterable[Row], run_id: str) -> str:
    """Write rows as CSV: an empty field is no value, `inf` one without a bound."""
    records = [
        {"run_id": run_id} | {name: _field(getattr(row, name)) for name in _COLUMNS} for row in rows
    ]
    return _csv(records, ["run_id", *_COLUMNS])


def slice_files(names: Sequence[str]) -> dict[str, str]:
    """Give each slice the name of its file: plain, and never that of another one.

    Examples
    --------
    >>> slice_files(["triton", "../etc"])
    {'triton': 'triton.csv', '../etc': 'etc-HASH.csv'}
    """
    files: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        file = f"{name}.csv"
        if not _PLAIN.fullmatch(name) or file.lower() in taken:
            plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60]
            file = f"{plain or 'slice'}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.csv"
        taken.add(file.lower())
        files[name] = file
    return files


def _csv(records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    return written.getvalue()


def _field(value: Any) -> Any:
    return repr(float(value)) if isinstance(value, float) else "" if value is None else value
