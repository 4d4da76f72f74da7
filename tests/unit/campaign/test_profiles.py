"""Profiles: where they are found, and what they put over a campaign."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from escalade.campaign.configuration import merged, profile_configuration
from escalade.campaign.project import profile_folder
from escalade.cli.sites import init
from escalade.errors import InputError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder of user-level configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ESCALADE_SITE", raising=False)
    return tmp_path


def test_the_shipped_profiles_choose_the_launcher() -> None:
    assert profile_configuration("profiles/local") == {}
    assert profile_configuration("profiles/slurm") == {"execution": {"launcher": "slurm"}}
    assert profile_configuration("meluxina") == {
        "execution": {"launcher": "slurm", "site": "meluxina"}
    }


def test_a_profile_of_the_user_s_own_is_found_by_name(home: Path) -> None:
    own = home / "snakemake" / "mine"
    own.mkdir(parents=True)
    (own / "config.yaml").write_text("config: {seed: 3}\n")

    assert profile_folder("mine") == own
    assert profile_configuration("mine") == {"seed": 3}


def test_an_unknown_profile_lists_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"profiles/local, profiles/meluxina, profiles/slurm"):
        profile_configuration("profiles/none")


@pytest.mark.parametrize("text", ["config: [seed=3]\n", "config: seed\n"])
def test_a_profile_whose_config_is_no_mapping_is_refused(home: Path, text: str) -> None:
    own = home / "snakemake" / "mine"
    own.mkdir(parents=True)
    (own / "config.yaml").write_text(text)

    with pytest.raises(InputError, match=r"config\.yaml: config is"):
        profile_configuration("mine")


def test_mappings_are_merged_and_everything_else_is_replaced() -> None:
    own = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}

    assert merged(own, {"a": {"c": [3]}, "d": 4, "f": {}}) == {
        "a": {"b": 1, "c": [3]},
        "d": 4,
        "f": {},
    }
    assert own == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}


def test_what_a_profile_says_is_text_since_snakemake_makes_text_of_it() -> None:
    """Snakemake 9 hands `{execution: {attempts: 3, flag: true}}` on as "3" and "True"."""
    for path in ROOT.glob("profiles/*/config.yaml"):
        told = yaml.safe_load(path.read_text()).get("config", {})
        assert all(isinstance(value, str) for part in told.values() for value in part.values())


def dry_run(folder: Path, profile: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n"]
    return subprocess.run(
        [*command, "--profile", profile, "--configfile", str(ROOT / "config/examples/smoke.yaml")],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["slurm", "meluxina"])
def test_a_dry_run_needs_no_slurm(tmp_path: Path, name: str) -> None:
    answer = dry_run(tmp_path, str(ROOT / "profiles" / name))

    assert answer.returncode == 0, answer.stderr
    assert "run_ladder" in answer.stdout + answer.stderr


def test_after_init_snakemake_knows_the_profile_by_its_name(tmp_path: Path) -> None:
    before = dry_run(tmp_path, "meluxina")
    init(site="meluxina")

    assert before.returncode != 0
    assert dry_run(tmp_path, "meluxina").returncode == 0


def test_the_profile_s_launcher_reaches_the_campaign(tmp_path: Path) -> None:
    nowhere = {"ESCALADE_SITE": "/nowhere/site.yaml"}  # read for the launcher slurm only

    assert dry_run(tmp_path, str(ROOT / "profiles" / "local"), **nowhere).returncode == 0
    refused = dry_run(tmp_path, str(ROOT / "profiles" / "slurm"), **nowhere)
    assert refused.returncode == 1
    assert "/nowhere/site.yaml" in refused.stdout + refused.stderr


def keys(content: dict[str, Any]) -> set[str]:
    """Name every key at any depth, but for names of partitions and QOS."""
    found = set(content)
    for key, value in content.items():
        if isinstance(value, dict):
            below = keys(value)
            found |= below - set(value) if key in {"partitions", "qos"} else below
    return found


@pytest.mark.parametrize("name", ["config.yaml", "site.yaml"])
def test_every_key_of_the_meluxina_profile_is_in_its_page(name: str) -> None:
    content = yaml.safe_load((ROOT / "profiles" / "meluxina" / name).read_text())
    page = (ROOT / "docs" / "meluxina.md").read_text(encoding="utf-8")

    assert len(keys(content)) > 5
    for key in keys(content) - {"site", "slurm", "limits", "whole_nodes"}:
        assert key in page, key
