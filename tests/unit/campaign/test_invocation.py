"""The Snakemake that `escalade run` starts sees what `escalade plan` showed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from escalade.campaign.invocation import Invocation
from escalade.errors import InputError

SMOKE = Path(__file__).parents[3] / "config" / "examples" / "smoke.yaml"


@pytest.mark.parametrize("retry_failed", [False, True])
def test_the_profile_s_launcher_counts_whatever_else_is_put_over_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, retry_failed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    command = Invocation(SMOKE, "profiles/slurm", retry_failed=retry_failed).snakemake()

    answer = subprocess.run(
        [*command, "-n"],
        env={**os.environ, "ESCALADE_SITE": "/nowhere/site.yaml"},  # read for `slurm` only
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "/nowhere/site.yaml does not exist" in answer.stdout + answer.stderr


def test_without_a_profile_s_own_keys_nothing_is_added() -> None:
    call = Invocation(SMOKE, "profiles/local")

    assert call.snakemake()[-1] == str(SMOKE)
    assert Invocation(SMOKE, "profiles/local", retry_failed=True).snakemake()[-2:] == [
        "--config",
        "retry_failed=true",
    ]


def test_targets_come_before_the_options_of_snakemake() -> None:
    command = Invocation(SMOKE, "profiles/local").snakemake(["results/a/cells/b/cell.json"])

    assert command.index("results/a/cells/b/cell.json") < command.index("--profile")


def test_the_words_of_a_call_say_what_was_asked_for() -> None:
    call = Invocation(Path("my.yaml"), "profiles/slurm", retry_failed=True)

    assert call.words("submit") == [
        *("escalade", "submit", "my.yaml", "--profile", "profiles/slurm", "--retry-failed")
    ]


def test_a_smoke_run_is_a_campaign_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    run = Invocation(SMOKE, "profiles/local", smoke=True).open()

    assert run.name == "smoke-smoke"
    assert len(run.plan.cells) == 1


def test_every_opening_is_a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call = Invocation(SMOKE, "profiles/local")

    assert call.open().state != call.open().state


def test_a_profile_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match="There is no profile 'nowhere'"):
        Invocation(SMOKE, "nowhere").open()
