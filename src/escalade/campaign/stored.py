"""A cell as its files hold it, whose requests are read when they are asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from escalade.analysis.measured.cell import CellData
from escalade.errors import InputError
from escalade.files import read_table
from escalade.load.records import REQUIRED

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

CHUNKS = "chunk_offsets"
WHAT = "request log"
_UNREAD = pd.DataFrame()


class StoredCell(CellData):
    """One cell (deployment × repetition) that reads its request log step by step.

    A log of ten million requests is larger than what analyses it may use.

    Parameters
    ----------
    path
        requests.parquet.
    content
        The other parts of `CellData`, by name.

    Raises
    ------
    InputError
        When the log is missing, damaged, or lacks a column.
    """

    _path: Path
    _ahead: dict[int, Future[pa.Table]]

    def __init__(self, path: Path, **content: Any) -> None:
        super().__init__(requests=_UNREAD, **content)
        del self.__dict__["requests"]  # read when it is asked for
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_ahead", {})
        if missing := set(REQUIRED) - set(self._columns):
            raise InputError(f"{WHAT}: {path} lacks the column(s) {', '.join(sorted(missing))}.")

    @cached_property
    def requests(self) -> pd.DataFrame:
        """All requests, but not the times of their chunks, which are many times as much."""
        columns = [name for name in self._columns if name != CHUNKS]
        return read_table(self._path, WHAT, only=columns)

    def at(self, step: int) -> CellData:
        """Give the cell with the requests of one step alone, and begin to read those of the next."""
        try:
            early = self._ahead.pop(step, None)
            table = self._read(step) if early is None else early.result()
            self._read_ahead(step)
        except (OSError, ValueError) as error:
            raise _damaged(self._path, error) from error
        frame = table.drop_columns([CHUNKS]).to_pandas()
        frame[CHUNKS] = pd.Series(
            pd.arrays.ArrowExtensionArray(table.column(CHUNKS)), index=frame.index
        )
        return CellData(requests=frame, **self._rest)

    @property
    def _rest(self) -> dict[str, Any]:
        """All but the requests."""
        names = [part.name for part in fields(CellData) if part.name != "requests"]
        return {name: getattr(self, name) for name in names}

    @cached_property
    def _columns(self) -> list[str]:
        try:
            names: list[str] = pq.read_schema(self._path).names
        except FileNotFoundError:
            raise InputError(f"{WHAT}: {self._path} does not exist.") from None
        except (OSError, ValueError) as error:
            raise _damaged(self._path, error) from error
        return names

    def _read_ahead(self, step: int) -> None:
        """Read the step that follows another one in a thread: it takes half as long as its KPIs."""
        self._ahead.clear()
        later = [int(told["step"]) for told in self.steps if int(told["step"]) > step]
        if later:
            reader = ThreadPoolExecutor(1)
            self._ahead[later[0]] = reader.submit(self._read, later[0])
            reader.shutdown(wait=False)

    def _read(self, step: int) -> pa.Table:
        with pq.ParquetFile(self._path, pre_buffer=False) as file:
            place = file.schema_arrow.get_field_index("step")
            groups = [
                number
                for number in range(file.num_row_groups)
                if _may_hold(file.metadata.row_group(number).column(place).statistics, step)
            ]
            table = file.read_row_groups(groups, columns=self._columns)
        steps = table.column("step")
        mine = pc.equal(steps, step)
        return table if pc.all(mine).as_py() else table.filter(mine)


def _may_hold(statistics: Any, step: int) -> bool:
    """Say whether a row group can have rows of a step; without statistics it can."""
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= step <= statistics.max)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{WHAT}: {path} can't be read as Parquet ({error}). It may be damaged: "
        "`escalade replay` checks a campaign against its manifest."
    )
