"""A stored cell reads its requests step by step, and nothing about its KPIs changes by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.campaign.stored import StoredCell
from escalade.errors import InputError
from escalade.load.records import SCHEMA, write_requests, write_steps
from unit.analysis.builders import ladder

if TYPE_CHECKING:
    from pathlib import Path

SLOS = [Slo("fast", "latency_seconds", "p90", 1.0)]


def log_of(data: CellData) -> pa.Table:
    """Give the request log of a cell that was made by hand, in the schema that it is stored in."""
    known = [field for field in SCHEMA if field.name in data.requests]
    return pa.Table.from_pandas(data.requests, schema=pa.schema(known), preserve_index=False)


def stored(path: Path, data: CellData) -> StoredCell:
    """Give the cell with its log in a file."""
    return StoredCell(
        path,
        cell=data.cell,
        windows=data.windows,
        series=data.series,
        environment=data.environment,
        search={"found": True},
    )


@pytest.mark.parametrize("layout", ["a row group per step", "one row group"])
def test_kpis_and_gates_are_those_of_the_whole_log(layout: str, tmp_path: Path) -> None:
    data = ladder([3.0, 6.0, 14.0], seconds=20.0)
    path, table = tmp_path / "requests.parquet", log_of(data)
    steps = table.column("step")
    if layout == "one row group":  # as earlier versions wrote it
        write_requests(path, table)
    else:
        parts = [table.filter(pc.equal(steps, step)) for step in (1, 2, 3)]
        write_steps(path, parts, table.column_names)
    cell = stored(path, data)

    kpis = cell_kpis(data, SLOS)

    pd.testing.assert_frame_equal(cell_kpis(cell, SLOS), kpis, check_exact=True)
    assert cell_gates(cell, kpis, SLOS) == cell_gates(data, kpis, SLOS)


def test_each_step_has_row_groups_of_its_own(tmp_path: Path) -> None:
    data = ladder([3.0, 6.0], seconds=20.0)
    table = log_of(data)
    parts = [table.filter(pc.equal(table.column("step"), step)) for step in (1, 2)]
    noted = parts[1].append_column("note_recall", pa.array([0.5] * len(parts[1])))

    write_steps(tmp_path / "log", [parts[0], noted], [*table.column_names, "note_recall"])

    with pq.ParquetFile(tmp_path / "log") as file:
        assert file.num_row_groups == 2
        assert [file.metadata.row_group(group).num_rows for group in (0, 1)] == list(
            map(len, parts)
        )
        recall = file.read().column("note_recall")
    assert recall.null_count == len(parts[0])  # a note that a step lacks is empty there


def test_all_requests_are_there_without_the_times_of_their_chunks(tmp_path: Path) -> None:
    data = ladder([3.0, 6.0], seconds=20.0)
    write_requests(tmp_path / "log", log_of(data))

    whole = stored(tmp_path / "log", data).requests

    assert len(whole) == len(data.requests)
    assert set(SCHEMA.names) - set(whole.columns) == {"chunk_offsets"}


def test_a_step_without_requests_is_empty(tmp_path: Path) -> None:
    data = ladder([3.0], seconds=20.0)
    write_requests(tmp_path / "log", log_of(data))

    cell = stored(tmp_path / "log", data)

    assert cell.at(7).requests.empty
    assert cell.at(7).search == cell.search == {"found": True}


def test_a_log_that_is_missing_or_damaged_is_one_message(tmp_path: Path) -> None:
    data = ladder([3.0], seconds=20.0)
    path = tmp_path / "log"
    with pytest.raises(InputError, match="does not exist"):
        stored(path, data)
    pq.write_table(log_of(data).drop_columns(["sent_at"]), path)
    with pytest.raises(InputError, match=r"lacks the column\(s\) sent_at"):
        stored(path, data)
    write_requests(path, log_of(data))
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)  # the footer is whole, the pages are not
    path.write_bytes(content)
    with pytest.raises(InputError, match="can't be read as Parquet"):
        stored(path, data).at(1)
    path.write_bytes(b"no Parquet")
    with pytest.raises(InputError, match="can't be read as Parquet"):
        stored(path, data)
