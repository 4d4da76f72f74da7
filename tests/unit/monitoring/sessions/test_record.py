"""The record of a session: written whole, read with care, changed by one at a time."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring.sessions.record import Record, SessionFolder, session_ids

if TYPE_CHECKING:
    from pathlib import Path


def made(root: Path, name: str = "bench01") -> SessionFolder:
    folder = SessionFolder(root, name)
    record = Record(
        id=name, created_at=1.0, prom_host="localhost", port=0, scrape_interval_seconds=1.0
    )
    folder.create(record, {})
    return folder


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "-a", "a b", "x" * 65, "ä", "a\n"])
def test_an_id_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="can't be the id of a session"):
        SessionFolder(tmp_path, name)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = made(tmp_path)
    record = folder.read().changed("tried", port=9090)
    folder.write(record)

    assert folder.read() == record
    assert (record.port, record.revision, record.events[-1].what) == (9090, 1, "tried")
    assert session_ids(tmp_path) == ["bench01"]


def test_a_second_session_of_that_id_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    folder = made(tmp_path)
    before = folder.read()

    with pytest.raises(InputError, match="exists: a session of that id"):
        made(tmp_path)
    assert folder.read() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bench01"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "can't be read as JSON"),
        ("{", "can't be read as JSON"),
        ("[" * 100_000, "can't be read as JSON"),
        ("[]", "the whole"),
        ('{"schema": 1}', "Field required"),
        ('{"schema": 0}', "schema"),
        ('{"schema": 2}', "a newer one wrote it"),
        ('{"schema": 1, "id": 7}', "id: Input should be a valid string"),
    ],
)
def test_a_damaged_record_says_where_and_what_to_do(tmp_path: Path, text: str, why: str) -> None:
    folder = made(tmp_path)
    (folder.path / "session.json").write_text(text)

    with pytest.raises(InputError) as refused:
        folder.read()
    assert why in str(refused.value)
    assert str(folder.path / "session.json") in str(refused.value)


def test_a_record_cut_short_anywhere_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    folder = made(tmp_path)
    whole = (folder.path / "session.json").read_bytes()
    for length in range(0, len(whole) - 1, 7):
        (folder.path / "session.json").write_bytes(whole[:length])
        with pytest.raises(InputError, match="is damaged"):
            folder.read()


def test_a_record_under_another_name_is_not_taken(tmp_path: Path) -> None:
    folder = made(tmp_path)
    content = json.loads((folder.path / "session.json").read_text())
    (folder.path / "session.json").write_text(json.dumps({**content, "id": "other"}))

    with pytest.raises(InputError, match="the record of session 'other'"):
        folder.read()


def test_no_session_names_those_that_there_are(tmp_path: Path) -> None:
    made(tmp_path, "one")

    with pytest.raises(InputError, match=r"no session 'two'.*there: one.*session-create"):
        SessionFolder(tmp_path, "two").read()
    with (
        pytest.raises(InputError, match="no session 'two'"),
        SessionFolder(tmp_path, "two").locked(),
    ):
        pass


def test_two_that_change_a_session_at_once_do_it_one_after_the_other(tmp_path: Path) -> None:
    folder = made(tmp_path)

    def add() -> None:
        for _ in range(5):
            with folder.locked():
                record = folder.read()
                time.sleep(0.001)
                folder.write(record.changed("more"))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert folder.read().revision == 20


def test_waiting_for_the_lock_can_be_given_up(tmp_path: Path) -> None:
    folder = made(tmp_path)

    with folder.locked():
        assert folder.busy()
        with pytest.raises(InfrastructureError, match="being changed by another command"):  # noqa: SIM117 - the order matters
            with folder.locked(lambda: True):
                pass
    assert not folder.busy()


def test_who_waited_for_a_session_that_was_deleted_is_told(tmp_path: Path) -> None:
    folder = made(tmp_path)
    said: list[str] = []

    def wait() -> None:
        try:
            with folder.locked():
                said.append("locked")
        except InputError as error:
            said.append(str(error))

    with folder.locked():
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        folder.remove()
    waiting.join()

    assert len(said) == 1
    assert "no session 'bench01'" in said[0]
    assert list(tmp_path.iterdir()) == []
