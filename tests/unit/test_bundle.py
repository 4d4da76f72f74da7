"""A bundle holds what somebody else needs to read a campaign and to check it, and nothing edited."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from escalade.bundle import SUMS, bundle
from escalade.cli.main import app
from escalade.errors import InfrastructureError, InputError
from escalade.files import write_json, write_text
from escalade.manifest import NAME, write_manifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """Seal a campaign with raw data and a log of the driver."""
    folder = tmp_path / "demo"
    write_text(folder / "report.html", "<p>fine")
    write_text(folder / "kpis.csv", "a,b\n1,2\n")
    write_text(folder / "cells" / "x" / "requests.parquet", "raw")
    write_text(folder / "logs" / "judge.log", "grows on")
    write_manifest(folder)
    return folder


def test_it_holds_report_kpis_and_the_whole_manifest_under_relative_paths(campaign: Path) -> None:
    target = campaign.parent / "demo.zip"

    assert bundle(campaign, target) == 4

    with zipfile.ZipFile(target) as packed:
        files = ["MANIFEST.json", "kpis.csv", "report.html", SUMS]
        assert packed.namelist() == [f"demo/{name}" for name in files]
        assert packed.read("demo/report.html") == b"<p>fine"
        assert "cells/x/requests.parquet" in json.loads(packed.read(f"demo/{NAME}"))["artifacts"]


def test_raw_data_come_on_request(campaign: Path) -> None:
    bundle(campaign, campaign.parent / "all.zip", raw=True)

    with zipfile.ZipFile(campaign.parent / "all.zip") as packed:
        assert packed.read("demo/cells/x/requests.parquet") == b"raw"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum here")
def test_who_gets_it_checks_it_without_escalade(campaign: Path, tmp_path: Path) -> None:
    bundle(campaign, tmp_path / "b.zip", raw=True)
    with zipfile.ZipFile(tmp_path / "b.zip") as packed:
        packed.extractall(tmp_path / "elsewhere")
    there = tmp_path / "elsewhere" / "demo"
    check = ["sha256sum", "--check", "--quiet", SUMS]

    assert subprocess.run(check, cwd=there, check=False).returncode == 0

    (there / "kpis.csv").write_text("a,b\n1,3\n")
    assert subprocess.run(check, cwd=there, check=False, capture_output=True).returncode == 1


def test_the_same_campaign_gives_the_same_bytes(campaign: Path) -> None:
    first, second = campaign.parent / "1.zip", campaign.parent / "2.zip"
    bundle(campaign, first, raw=True)
    (campaign / "kpis.csv").touch()
    bundle(campaign, second, raw=True)

    assert first.read_bytes() == second.read_bytes()


def test_an_edited_file_is_named_and_nothing_is_written(campaign: Path) -> None:
    (campaign / "kpis.csv").write_text("a,b\n1,3\n")

    with pytest.raises(InputError, match=r"kpis\.csv was changed.*nothing was bundled"):
        bundle(campaign, campaign.parent / "demo.zip")

    assert not (campaign.parent / "demo.zip").exists()


def test_edited_raw_data_that_stay_behind_do_not_matter(campaign: Path) -> None:
    (campaign / "cells" / "x" / "requests.parquet").unlink()

    assert bundle(campaign, campaign.parent / "demo.zip") == 4
    with pytest.raises(InputError, match="is missing"):
        bundle(campaign, campaign.parent / "demo.zip", raw=True)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "cells/../../secret"])
def test_a_manifest_can_not_have_files_from_elsewhere_packed(campaign: Path, name: str) -> None:
    (campaign.parent / "secret").write_text("key")
    write_json(campaign / NAME, {"artifacts": {name: {"sha256": "", "bytes": 3}}})

    with pytest.raises(InputError, match="outside of the campaign"):
        bundle(campaign, campaign.parent / "demo.zip", raw=True)


def test_a_place_that_can_not_be_written_is_told(campaign: Path) -> None:
    (campaign.parent / "file").write_text("")

    with pytest.raises(InfrastructureError, match="could not be written"):
        bundle(campaign, campaign.parent / "file" / "demo.zip")


def test_the_command_names_the_file_or_what_is_missing(campaign: Path) -> None:
    told = CliRunner().invoke(app, ["bundle", str(campaign)])
    assert told.exit_code == 0
    assert "demo.zip: 4 files" in told.stdout.replace("\n", "")
    assert (campaign.parent / "demo.zip").exists()

    (campaign / NAME).unlink()
    missing = CliRunner().invoke(app, ["bundle", str(campaign)])
    assert isinstance(missing.exception, InputError)
    assert "manifest" in str(missing.exception)
