"""What `escalade monitor open` takes for an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.cli.monitor.reopening import archive_of
from escalade.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_an_archive_a_cell_and_a_campaign_with_one_cell_are_the_same(tmp_path: Path) -> None:
    cell = tmp_path / "cells" / "a_rep-1_0badcafe"
    cell.mkdir(parents=True)
    (tmp_path / "cells" / "unfinished").mkdir()
    (cell / "tsdb.tar.zst").touch()

    for path in (cell / "tsdb.tar.zst", cell, tmp_path):
        assert archive_of(path) == cell / "tsdb.tar.zst"


def test_of_several_cells_one_has_to_be_named(tmp_path: Path) -> None:
    for name in ("a_rep-1_0badcafe", "b_rep-1_0badcafe"):
        (tmp_path / "cells" / name).mkdir(parents=True)
        (tmp_path / "cells" / name / "tsdb.tar.zst").touch()

    with pytest.raises(InputError, match=r"(?s)has 2 cells.*monitor open .*a_rep-1.*b_rep-1"):
        archive_of(tmp_path)


def test_a_folder_without_data_and_a_missing_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no Prometheus data"):
        archive_of(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        archive_of(tmp_path / "none")
