"""Recorded arrivals: a file of them, read, checked, and fitted to a rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.errors import InputError
from escalade.files import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

OFFSET = "offset_seconds"
OPTIONAL = ("payload_id", "input_tokens", "output_tokens")
"""Columns of whole numbers, 0 or more, that a trace may have besides its offsets."""


@dataclass(frozen=True)
class Trace:
    """Arrivals that were recorded.

    Parameters
    ----------
    offset_seconds
        When each came (float64, ascending, the first at 0 or later).
    columns
        What else is known of each, by the names in OPTIONAL (int64).
    path, sha256
        The file, and its hash.
    """

    offset_seconds: np.ndarray
    columns: dict[str, np.ndarray]
    path: Path
    sha256: str

    @property
    def rate(self) -> float:
        """Mean arrival rate between the first and the last, in 1/s."""
        count = len(self.offset_seconds) - 1
        return count / float(self.offset_seconds[-1] - self.offset_seconds[0])

    def at(self, rate: float) -> np.ndarray:
        """Give the times of all arrivals, in s after the first, with the trace run at `rate`."""
        since: np.ndarray = self.offset_seconds - self.offset_seconds[0]
        return since * (self.rate / rate)


def read_trace(path: Path) -> Trace:
    """Read a trace from CSV or Parquet.

    Parameters
    ----------
    path
        With the column `offset_seconds`, and any of OPTIONAL; others are left alone.

    Raises
    ------
    InputError
        When the file is missing or can't be read, a column is missing, or a value is
        none that it can have; with the row.
    """
    frame = _read(path)
    if OFFSET not in frame.columns:
        raise InputError(
            f"Trace: {path} has no column {OFFSET}; it has {', '.join(map(str, frame.columns))}."
        )
    offsets = _numbers(frame, OFFSET, path)
    if falls := np.flatnonzero(np.diff(offsets) < 0).tolist():
        row = falls[0] + 1
        raise InputError(
            f"Trace: {path}: row {row + 1} has {OFFSET} {offsets[row]:g}, which is before the row "
            f"above it ({offsets[row - 1]:g}). Sort the file by {OFFSET}."
        )
    if len(offsets) < 2 or offsets[0] == offsets[-1]:
        raise InputError(f"Trace: {path} needs two arrivals or more at different times.")
    columns = {}
    for name in OPTIONAL:
        if name in frame.columns:
            values = _numbers(frame, name, path)
            if broken := np.flatnonzero(values != np.floor(values)).tolist():
                raise InputError(
                    f"Trace: {path}: row {broken[0] + 1} has {name} {values[broken[0]]:g}; "
                    "expected a whole number."
                )
            columns[name] = values.astype(np.int64)
    return Trace(offsets, columns, path, sha256_of(path))


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - only campaigns with a trace need it here
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"Trace: {path} does not exist.") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"Trace: {path} can't be read as {'Parquet' if path.suffix == '.parquet' else 'CSV'} "
            f"({error})."
        ) from error


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    import pandas as pd  # noqa: PLC0415 - see above

    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0))).tolist()
    if wrong:
        said = frame[name].iloc[wrong[0]]
        raise InputError(
            f"Trace: {path}: row {wrong[0] + 1} has {name} {said!r}; expected a number, 0 or more."
        )
    return values


def of_trace(
    trace: Trace, qps: float, warmup_seconds: float, window_seconds: float
) -> dict[str, Any]:
    """Give the parameters of a step that replays a trace at a mean rate of `qps`.

    It is replayed from its first arrival, which stands at the step's epoch.

    Raises
    ------
    InputError
        When the trace is over before the step is.
    """
    at = trace.at(qps)
    end = warmup_seconds + window_seconds
    if at[-1] < end:
        raise InputError(
            f"Trace: {trace.path} lasts {at[-1]:.4g} s at {qps:g} requests/s; the step needs {end:g} s. "
            f"Shorten the step, or lower its target_qps (it was recorded at {trace.rate:.4g} "
            "requests/s)."
        )
    warmup = int(np.searchsorted(at, warmup_seconds))
    counts = {"warmup": warmup, "window": int(np.searchsorted(at, end)) - warmup}
    return {
        "file": str(trace.path),
        "sha256": trace.sha256,
        "counts": counts,
        "payloads": "payload_id" in trace.columns,
    }
