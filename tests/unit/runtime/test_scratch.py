"""A folder on a node's own disk: private, unique, and where the site says."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.scratch import make_scratch


def test_it_is_private_and_may_be_asked_for_twice(tmp_path: Path) -> None:
    made = Path(make_scratch(str(tmp_path / "disk"), "c7"))

    assert made == tmp_path / "disk" / "escalade-c7"
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert make_scratch(str(tmp_path / "disk"), "c7") == str(made)


def test_variables_are_those_of_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    assert make_scratch("$TMPDIR/here", "c7") == f"{tmp_path}/here/escalade-c7"


@pytest.mark.parametrize("root", ["$NOT_SET_ANYWHERE/x", "relative/path"])
def test_a_path_that_means_nothing_there_is_told_with_its_key(root: str) -> None:
    with pytest.raises(InfrastructureError, match=r"expected an absolute path.*local_folder"):
        make_scratch(root, "c7")


def test_a_folder_that_can_t_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InfrastructureError, match=r"can't be made on .*Not a directory"):
        make_scratch(str(tmp_path / "file"), "c7")
