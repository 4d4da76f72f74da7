"""The spool: notes are read whole, and damaged ones are as if absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.runtime.spool import Note, Spool

if TYPE_CHECKING:
    from pathlib import Path


def test_a_note_is_read_as_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write("a.b-1", "request", "t1", {"x": 1})

    assert spool.read("a.b-1", "request") == Note("t1", {"x": 1, "token": "t1"})
    assert list(spool.notes("request")) == ["a.b-1"]
    assert spool.read("a.b-1", "ended") is None


@pytest.mark.parametrize("content", ["", '{"token": "t', "[1]", '{"x": 1}', '{"token": 3}'])
def test_a_damaged_note_is_as_if_absent(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.request.json").write_text(content)

    assert Spool(tmp_path).read("a", "request") is None
    assert Spool(tmp_path).notes("request") == {}


def test_a_note_that_is_being_written_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / ".a.request.json.1234.tmp").write_text("{}")
    (tmp_path / ".a.request.json").write_text('{"token": "t"}')

    assert Spool(tmp_path).notes("request") == {}
