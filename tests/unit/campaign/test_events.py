"""Events of a run: whole lines, read as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from escalade.campaign import events

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_events_are_read_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    events.append(path, "a", "allocate", "started")
    first, position = events.read(path)
    events.append(path, "a", "allocate", "ended")
    second, _ = events.read(path, position)

    assert [event.kind for event in first] == ["started"]
    assert [event.kind for event in second] == ["ended"]


def test_no_file_is_no_event(tmp_path: Path) -> None:
    assert events.read(tmp_path / "none.jsonl", 0) == ([], 0)


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events.append(path, "a", "judge", "started")
    with path.open("ab") as opened:
        opened.write(b'{"at": 1, "cell"')

    read, position = events.read(path)

    assert len(read) == 1
    assert position < path.stat().st_size


@given(message=st.text())
def test_any_message_survives(tmp_path_factory: pytest.TempPathFactory, message: str) -> None:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"

    events.append(path, "a", "judge", "failed", message)

    assert [event.message for event in events.read(path)[0]] == [message]
