"""The container of the monitoring tests: its definition, as far as it can be held without Apptainer."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "envs" / "monitoring-tests.def"
SCRIPT = ROOT / "envs" / "monitoring-tests.sh"
SCRIPTS = ("post", "environment", "runscript", "test")
KNOWN = {"files", "labels", "help", *SCRIPTS}
"""Sections of a definition, by the user guide of Apptainer 1.3."""


def sections() -> dict[str, str]:
    parts = re.split(r"^%(\w+)\n", DEFINITION.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def test_the_definition_begins_with_where_it_comes_from() -> None:
    head = dict(line.split(": ") for line in sections()[""].splitlines() if line and line[0] != "#")

    assert head["Bootstrap"] == "docker"
    assert re.fullmatch(r"python:3\.\d+-slim-bookworm", head["From"])
    assert set(sections()) - {""} == KNOWN


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_of_it_is_shell(name: str) -> None:
    done = subprocess.run(
        ["sh", "-n"], input=sections()[name], text=True, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_what_it_copies_is_there_and_is_all_that_the_environment_is_made_from() -> None:
    copied = [shlex.split(line) for line in sections()["files"].splitlines() if line.strip()]

    assert all((ROOT / source).exists() for source, _ in copied)
    assert all(target == f"/opt/escalade/{source}" for source, target in copied)
    made_from = {"requirements-dev.lock", "pyproject.toml", "envs/bootstrap.py", "src"}
    assert made_from <= {source for source, _ in copied}


def test_it_runs_tests_that_are_there_with_the_tools_that_it_installs() -> None:
    found = sections()

    for folder in re.findall(r"tests/[\w/]+", found["runscript"]):
        assert (ROOT / folder).is_dir()
    for package in ("prometheus", "prometheus-node-exporter", "gcc"):
        assert package in shlex.split(found["post"])


def run(folder: Path, *programs: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script where these programs are, which print how they are called."""
    folder.mkdir()
    for program in programs:
        path = folder / program
        path.write_text(f'#!/bin/sh\necho "{program} $*"\n[ "$1" != build ] || : > "$2"\n')
        path.chmod(0o755)
    return subprocess.run(
        ["sh", str(SCRIPT), "tests/unit/monitoring"],
        env={"PATH": f"{folder}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_image_is_built_once_and_the_checkout_is_read_only(tmp_path: Path) -> None:
    image = tmp_path / "images" / "tests.sif"

    inside = {"SLURM_JOB_ID": "1", "ESCALADE_TEST_IMAGE": str(image)}
    first = run(tmp_path / "a", "apptainer", **inside)
    second = run(tmp_path / "b", "apptainer", **inside)

    assert f"apptainer build {image}.new envs/monitoring-tests.def" in first.stdout
    assert image.exists()
    assert "build" not in second.stdout
    wanted = f"apptainer run --cleanenv --bind {ROOT}:/app:ro {image} tests/unit/monitoring"
    assert second.stdout.splitlines()[-1] == wanted


def test_outside_a_job_it_asks_slurm_for_one(tmp_path: Path) -> None:
    said = run(tmp_path / "bin", "apptainer", "srun").stdout

    assert (
        "srun --ntasks=1 --cpus-per-task=2 --mem=8G --time=15 sh envs/monitoring-tests.sh" in said
    )


@pytest.mark.skipif(
    any(os.access(f"{folder}/apptainer", os.X_OK) for folder in ("/usr/bin", "/bin")),
    reason="Apptainer is here",
)
def test_without_apptainer_it_says_what_to_do(tmp_path: Path) -> None:
    done = run(tmp_path / "bin")

    assert done.returncode == 3
    assert "module load Apptainer" in done.stderr
    assert "make test" in done.stderr
