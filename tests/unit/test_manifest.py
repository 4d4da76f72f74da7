"""The manifest tells what was changed, removed or added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.errors import InputError
from escalade.files import write_json, write_text
from escalade.manifest import NAME, read_manifest, verify, write_manifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """Seal a campaign of two artifacts."""
    write_text(tmp_path / "kpis.csv", "a,b\n1,2\n")
    write_text(tmp_path / "cells" / "x" / "cell.json", "{}")
    write_text(tmp_path / "logs" / "judge.log", "grows on")
    write_manifest(tmp_path)
    return tmp_path


def test_every_artifact_is_covered_but_manifest_and_logs(campaign: Path) -> None:
    assert sorted(read_manifest(campaign)) == ["cells/x/cell.json", "kpis.csv"]


def test_the_hash_is_the_files_sha256(campaign: Path) -> None:
    # printf 'a,b\n1,2\n' | sha256sum
    known = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"

    assert read_manifest(campaign)["kpis.csv"] == {"sha256": known, "bytes": 8}


def test_an_untouched_campaign_verifies(campaign: Path) -> None:
    assert verify(campaign) == []


def test_a_changed_file_is_named(campaign: Path) -> None:
    (campaign / "kpis.csv").write_text("a,b\n1,3\n")

    assert [(d.path, d.what) for d in verify(campaign)] == [("kpis.csv", "was changed")]


def test_a_removed_file_is_named(campaign: Path) -> None:
    (campaign / "cells" / "x" / "cell.json").unlink()

    assert [d.what for d in verify(campaign)] == ["is missing"]


def test_an_added_file_is_named(campaign: Path) -> None:
    write_text(campaign / "cells" / "y" / "cell.json", "{}")

    assert [d.what for d in verify(campaign)] == ["is not in the manifest"]


def test_a_file_that_is_no_manifest_is_refused(campaign: Path) -> None:
    write_json(campaign / NAME, [1, 2])

    with pytest.raises(InputError, match="no manifest"):
        verify(campaign)


def test_no_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        verify(tmp_path)
