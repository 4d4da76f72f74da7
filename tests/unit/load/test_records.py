"""The request log: one row per planned request, whatever became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from escalade.errors import InfrastructureError
from escalade.files import read_table
from escalade.load.records import ERRORS, SCHEMA, Records, joined, write_requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from escalade.load.rows import PlannedRows

    Make = Callable[..., PlannedRows]

EPOCH, OFFSET = 50.0, 1_700_000_000.0  # of the clock; from the clock to Unix time


def frame(records: Records) -> pd.DataFrame:
    return records.table(2, 0, EPOCH, OFFSET).to_pandas()


@pytest.fixture
def records(rows_at: Make) -> Records:
    """Give the log of four requests: answered with two chunks, unanswered, failed, not sent."""
    log = Records(rows_at([0.0, 0.25, 0.5, 0.75], window_start=0.5))
    log.send(0, 50.001)
    log.chunk(0, 50.1)
    log.chunk(0, 50.125)
    log.tokens(0, 8, 2, 0)
    log.bytes_in[0] += 120
    log.end(0, 50.2, 200, None)
    log.send(1, 50.25)
    log.send(2, 50.5)
    log.end(2, 50.6, 503, "http_5xx")
    return log


def test_times_are_unix_seconds_and_nan_where_nothing_happened(records: Records) -> None:
    table = frame(records)

    assert table.planned_at.tolist() == [OFFSET + 50 + k / 4 for k in range(4)]
    assert table.sent_at[0] == pytest.approx(OFFSET + 50.001, abs=1e-6)
    assert table.first_chunk_at[0] == pytest.approx(OFFSET + 50.1, abs=1e-6)
    assert table.last_chunk_at[0] == pytest.approx(OFFSET + 50.125, abs=1e-6)
    assert table.ended_at[0] == pytest.approx(OFFSET + 50.2, abs=1e-6)
    assert table.sent_at.isna().tolist() == [False, False, False, True]
    assert table.ended_at.isna().tolist() == [False, True, False, True]
    assert table.first_chunk_at.isna().tolist() == [False, True, True, True]


def test_chunks_are_stored_as_seconds_after_the_first(records: Records) -> None:
    table = frame(records)

    assert table.chunk_offsets[0] == pytest.approx([0.0, 0.025])
    assert [len(offsets) for offsets in table.chunk_offsets] == [2, 0, 0, 0]


def test_each_row_says_step_repetition_worker_place_and_phase(records: Records) -> None:
    table = frame(records)

    assert (table.step == 3).all()
    assert (table.repetition == 2).all()
    assert (table.worker == 0).all()
    assert table["index"].tolist() == [0, 1, 2, 3]
    assert table.payload_id.tolist() == [100, 101, 102, 103]
    assert table.phase.tolist() == ["warmup", "warmup", "window", "window"]


def test_closing_names_what_was_not_sent_and_what_never_ended(records: Records) -> None:
    records.close("unfinished")

    assert records.errors == [None, "unfinished", "http_5xx", "not_sent"]


def test_a_task_that_leaves_without_an_end_or_without_a_request_is_an_error(
    records: Records,
) -> None:
    for row in range(4):
        records.leave(row, 51.0)

    assert records.errors == [None, "aborted", "http_5xx", "not_sent"]
    assert frame(records).ended_at.isna().tolist() == [False, False, False, True]


def test_of_several_requests_of_one_task_first_send_last_end_and_first_error_count(
    rows_at: Make,
) -> None:
    log = Records(rows_at([0.0]))
    for at, status, error in [(50.1, 200, None), (50.3, 404, "http_4xx"), (50.5, 500, "http_5xx")]:
        log.send(0, at - 0.05)
        log.end(0, at, status, error)

    (row,) = frame(log).itertuples()
    assert row.sent_at == pytest.approx(OFFSET + 50.05, abs=1e-6)
    assert row.ended_at == pytest.approx(OFFSET + 50.5, abs=1e-6)
    assert (row.status, row.error) == (404, "http_4xx")


def test_a_stored_log_has_the_schema_and_nullable_counts(records: Records, tmp_path: Path) -> None:
    write_requests(tmp_path / "requests.parquet", records.table(2, 0, EPOCH, OFFSET))

    stored = read_table(tmp_path / "requests.parquet", "request log", SCHEMA.names)
    assert pq.read_schema(tmp_path / "requests.parquet").remove_metadata() == SCHEMA
    assert [str(stored[name].dtype) for name in ("input_tokens", "cached_tokens")] == ["Int32"] * 2
    assert stored.output_tokens.tolist()[0] == 2
    assert stored.output_tokens.isna().tolist() == [False, True, True, True]
    assert isinstance(stored.chunk_offsets[0], np.ndarray)


def test_logs_of_several_steps_join_into_one_of_the_same_schema(
    records: Records, rows_at: Make, tmp_path: Path
) -> None:
    path = tmp_path / "requests.parquet"
    none_answered = Records(rows_at([0.0])).table(2, 0, EPOCH, OFFSET)
    write_requests(path, pa.concat_tables([records.table(2, 0, EPOCH, OFFSET), none_answered]))
    write_requests(tmp_path / "again.parquet", pq.read_table(path))

    assert pq.read_schema(tmp_path / "again.parquet").remove_metadata() == SCHEMA
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_a_note_is_a_column_that_is_empty_where_nothing_is_known(
    rows_at: Make, tmp_path: Path
) -> None:
    log = Records(rows_at([0.0, 1.0, 2.0]))
    log.note(0, "recall", 0.9)
    log.note(1, "recall", None)
    other = Records(rows_at([0.0]))
    tables = [each.table(1, 0, EPOCH, OFFSET) for each in (log, other)]
    write_requests(tmp_path / "requests.parquet", joined(tables))

    stored = pq.read_table(tmp_path / "requests.parquet")
    assert stored.column_names == [*SCHEMA.names, "note_recall"]
    assert stored["note_recall"].to_pylist() == [0.9, None, None, None]


@pytest.mark.parametrize("name", ["", "Recall", "re call", "9", "../x"])
def test_a_note_needs_a_name_that_a_column_can_have(name: str, rows_at: Make) -> None:
    with pytest.raises(ValueError, match="small letters"):
        Records(rows_at([0.0])).note(0, name, 1.0)


def test_a_log_without_notes_is_as_it_was(records: Records, tmp_path: Path) -> None:
    table = records.table(2, 0, EPOCH, OFFSET)

    assert table.column_names == SCHEMA.names
    assert joined([table, table]).schema == table.schema


def test_an_empty_log_is_a_log(tmp_path: Path) -> None:
    write_requests(tmp_path / "requests.parquet", SCHEMA.empty_table())

    assert read_table(tmp_path / "requests.parquet", "request log", SCHEMA.names).empty


def test_a_log_that_can_not_be_written_leaves_nothing(records: Records, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="could not be written"):
        write_requests(tmp_path / "file" / "requests.parquet", records.table(2, 0, EPOCH, OFFSET))

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_all_error_classes_are_those_of_the_contract() -> None:
    assert set(ERRORS) == {
        "not_sent",
        "unfinished",
        "timeout",
        "connect",
        "reset",
        "http_4xx",
        "http_5xx",
        "refused",
        "malformed",
        "aborted",
        "not_due",
        "abandoned",
    }
