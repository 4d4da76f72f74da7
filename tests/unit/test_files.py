"""No file is half-written or misread."""

from __future__ import annotations

import errno
from pathlib import Path

import pandas as pd
import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.files import (
    read_json,
    read_table,
    replacing,
    sha256_of,
    tail,
    write_json,
    write_table,
    write_text,
)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_text(path, "old")

    def stopped_half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stopped_half_way()

    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_a_full_disk_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    write_text(path, "old")

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        write_text(path, "new")

    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_json_without_a_number_for_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"value": float("nan")})

    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", ["", "{", '{"a": 1', "\xff"])
def test_damaged_json_names_file_and_meaning(tmp_path: Path, content: str) -> None:
    path = tmp_path / "verdicts.json"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(InputError, match=r"verdicts of x: .*verdicts\.json"):
        read_json(path, "verdicts of x")


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, float("nan")], "b": ["x", None]})
    write_table(tmp_path / "1.parquet", frame)
    write_table(tmp_path / "2.parquet", frame.copy())

    assert sha256_of(tmp_path / "1.parquet") == sha256_of(tmp_path / "2.parquet")


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", pd.DataFrame({"a": [1]}))

    with pytest.raises(InputError, match=r"lacks the column\(s\) b"):
        read_table(tmp_path / "t.parquet", "table", ["a", "b"])


def test_a_truncated_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, pd.DataFrame({"a": range(1000)}))
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(InputError, match="damaged"):
        read_table(path, "table")


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / "none.parquet", "table")


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))

    assert tail(log, 2) == ["line 98", "line 99"]
    assert tail(tmp_path / "none.log") == []
