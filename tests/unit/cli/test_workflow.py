"""The Snakemake that `escalade run` starts sees what `escalade plan` showed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from escalade.cli.workflow import _command

SMOKE = Path(__file__).parents[3] / "config" / "examples" / "smoke.yaml"


@pytest.mark.parametrize("retry_failed", [False, True])
def test_the_profile_s_launcher_counts_whatever_else_is_put_over_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, retry_failed: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    command = _command(SMOKE, "profiles/slurm", retry_failed=retry_failed)

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
    assert _command(SMOKE, "profiles/local", retry_failed=False)[-1] == str(SMOKE)
    assert _command(SMOKE, "profiles/local", retry_failed=True)[-1] == "retry_failed=true"
