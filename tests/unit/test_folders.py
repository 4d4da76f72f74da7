"""A folder appears whole or not at all; what a killed process left goes with the next one."""

from __future__ import annotations

import fcntl
import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.folders import assembling, passing

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with assembling(tmp_path / "deep" / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("here")
        assert not (tmp_path / "deep" / "out").exists()

    assert (tmp_path / "deep" / "out" / "sub" / "file").read_text() == "here"
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with assembling(tmp_path / "out") as folder:
            (folder / "file").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    with (
        pytest.raises(InfrastructureError, match="could not be written"),
        assembling(tmp_path / "file" / "out"),
    ):
        pass


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()

    with pytest.raises(InputError, match="is in use"), assembling(tmp_path / "out"):
        pass


def test_only_what_nobody_holds_is_tidied_up(tmp_path: Path) -> None:
    for name in (".out.dead.tmp", ".out.live.tmp", ".other.dead.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    handle = os.open(tmp_path / ".out.live.tmp", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with assembling(tmp_path / "out"):
            pass
    finally:
        os.close(handle)

    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        ".other.dead.tmp",
        ".out.live.tmp",
        "out",
    ]


def test_a_passing_folder_is_private_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"escalade-try-{os.getuid()}.dead.tmp").mkdir()

    with passing("try") as folder:
        (folder / "file").touch()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == [folder]

    assert list(tmp_path.iterdir()) == []
