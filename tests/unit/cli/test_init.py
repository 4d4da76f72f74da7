"""`escalade init`: the site file it writes, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from escalade.campaign.site import load_site
from escalade.cli.main import app
from escalade.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder of user-level configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ESCALADE_SITE", raising=False)
    return tmp_path


def init(*arguments: str) -> str:
    """Give what the command prints; what it raises is raised here."""
    return CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False).output


def test_the_file_is_private_and_has_the_account(home: Path) -> None:
    output = init("--site", "meluxina", "--account", "p200000")

    path = home / "escalade" / "site.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in output
    assert load_site().account == "p200000"
    assert load_site().site == "meluxina"


def test_an_account_of_digits_stays_text() -> None:
    init("--site", "generic", "--account", "200000")

    assert load_site().account == "200000"


def test_the_profile_is_linked_where_snakemake_looks(home: Path) -> None:
    init("--site", "meluxina")

    link = home / "snakemake" / "meluxina"
    assert link.is_symlink()
    assert (link / "config.yaml").is_file()


def test_what_the_site_requires_and_has_not_is_said() -> None:
    assert "without account" in init("--site", "meluxina")


def test_nothing_is_said_to_be_missing_when_nothing_is() -> None:
    assert "without" not in init("--site", "meluxina", "--account", "p1")


def test_a_file_that_is_there_is_kept(home: Path) -> None:
    init("--site", "meluxina", "--account", "p1")
    before = (home / "escalade" / "site.yaml").read_text()

    with pytest.raises(InputError, match="--force"):
        init("--site", "generic", "--account", "p2")

    assert (home / "escalade" / "site.yaml").read_text() == before
    assert not (home / "snakemake" / "slurm").exists()


def test_force_replaces_it() -> None:
    init("--site", "meluxina", "--account", "p1")
    init("--site", "generic", "--account", "p2", "--force")

    assert load_site().account == "p2"


def test_a_folder_in_the_link_s_place_is_never_replaced(home: Path) -> None:
    (home / "snakemake" / "meluxina").mkdir(parents=True)

    with pytest.raises(InputError, match="no link of Escalade's"):
        init("--site", "meluxina", "--force")

    assert not (home / "escalade").exists()


def test_an_unknown_site_writes_nothing(home: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'meluxina'"):
        init("--site", "meluxinna")

    assert list(home.iterdir()) == []


def test_an_account_that_can_not_be_one_writes_nothing(home: Path) -> None:
    with pytest.raises(InputError, match="account"):
        init("--site", "meluxina", "--account", "two words")

    assert list(home.iterdir()) == []
