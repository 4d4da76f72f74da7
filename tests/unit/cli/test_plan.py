"""`escalade plan` of a campaign on a cluster, on a machine without Slurm."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from escalade.cli.main import app
from escalade.errors import InputError

CAMPAIGN: dict[str, Any] = {
    "campaign": "trial",
    "deployments": [
        {"name": "truth", "recipe": "truth_server"},
        {"name": "small", "recipe": "llama_cpp", "models": ["smollm2-135m"]},
    ],
    "repetitions": 2,
    "load": {"ladder": [{"target_qps": 2, "window_seconds": 60}]},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder without a site file, and with no Slurm on PATH."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ESCALADE_SITE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*arguments: str, **execution: Any) -> str:
    """Give what the command prints; what it raises is raised here."""
    path = Path("trial.yaml")
    path.write_text(yaml.safe_dump({**CAMPAIGN, "execution": execution}), encoding="utf-8")
    result = CliRunner().invoke(app, ["plan", str(path), *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_profile_decides_where_a_campaign_runs() -> None:
    assert "Slurm" not in plan()
    assert "site meluxina" in plan("--profile", "meluxina")
    assert "site meluxina" in plan("--profile", "profiles/meluxina")
    assert "site generic (no site file)" in plan("--profile", "profiles/slurm")


def test_the_campaign_keeps_its_own_execution_keys_under_a_profile() -> None:
    output = plan("--profile", "meluxina", parallel_cells=2, slurm={"service": {"gpus": 2}})

    assert "2 lanes" in output
    assert [line.split()[-1] for line in output.splitlines() if line.startswith("service ")] == [
        "2"
    ]


def test_node_hours_jobs_and_what_is_missing_are_printed() -> None:
    output = plan("--profile", "meluxina")

    assert "1 allocation, 2 jobs as Slurm counts them" in output
    assert "node-hours in partition" in output
    assert "missing: Site meluxina takes no job without account" in output


def test_json_has_the_same_figures() -> None:
    cost = json.loads(plan("--profile", "meluxina", "--json"))["slurm"]

    assert cost["site"] == "meluxina"
    assert cost["topology"] == "split"
    assert cost["jobs"] == 2
    assert len(cost["allocations"][0]["cells"]) == 4
    assert set(cost["node_hours"]) == {"cpu", "gpu"}
    (limit,) = {it["time_limit_seconds"] for it in cost["allocations"]}
    assert cost["node_hours"]["gpu"]["at_most"] == pytest.approx(limit / 3600)


def test_the_whole_is_told_in_amounts() -> None:
    cells = (content := json.loads(plan("--json")))["cells"]
    totals = content["totals"]

    assert (totals["cells"], totals["cells_to_measure"], totals["steps"]) == (4, 4, 4)
    assert totals["requests"] == sum(cell["requests"] for cell in cells) >= 4 * 2 * 60
    assert totals["load_seconds"] >= 4 * 60
    assert totals["disk_bytes"] == pytest.approx(sum(cell["disk_bytes"] for cell in cells))
    assert "kB a cell" in totals["disk_basis"]
    overhead = totals["expected_seconds"] - sum(cell["expected_seconds"] for cell in cells)
    longest = sum(cell["longest_seconds"] for cell in cells)
    assert totals["longest_seconds"] == pytest.approx(longest + overhead)
    assert totals["node_hours"]["local (this machine)"]["at_most"] == pytest.approx(longest / 3600)

    output = plan()
    assert f"{totals['requests']:,} requests in" in output
    assert "node-hours left, local (this machine): " in output
    assert f"disk: {totals['disk_basis']}." in output


def test_amounts_on_a_cluster_have_the_node_hours_of_its_partitions() -> None:
    content = json.loads(plan("--profile", "meluxina", "--json"))

    assert content["totals"]["node_hours"] == content["slurm"]["node_hours"]
    assert set(content["totals"]["node_hours"]) == {"cpu", "gpu"}


def test_requests_that_nobody_knows_beforehand_are_none() -> None:
    closed = {"load": {"arrivals": "closed", "ladder": [{"concurrency": 2, "window_seconds": 60}]}}
    path = Path("closed.yaml")
    path.write_text(yaml.safe_dump({**CAMPAIGN, **closed}), encoding="utf-8")

    told = [
        CliRunner().invoke(app, ["plan", str(path), *more], catch_exceptions=False).output
        for more in ([], ["--json"])
    ]

    assert "an unknown number of requests in" in told[0]
    assert json.loads(told[1])["totals"]["requests"] is None


def test_json_of_a_campaign_on_one_machine_says_nothing_of_slurm() -> None:
    assert "slurm" not in json.loads(plan("--json"))


def test_a_plan_over_the_site_s_limits_is_refused() -> None:
    with pytest.raises(InputError, match=r"Partition gpu of site meluxina has at most 4 GPUs"):
        plan("--profile", "meluxina", slurm={"service": {"gpus": 8}})


def test_rendering_needs_a_cluster() -> None:
    with pytest.raises(InputError, match="--profile"):
        plan("--render")


def scripts(output: str) -> list[str]:
    blocks = output.split("#!/bin/bash -l\n")[1:]
    return ["#!/bin/bash -l\n" + block.partition("# ----")[0] for block in blocks]


def test_rendered_scripts_hold_the_components_and_are_shell(home: Path) -> None:
    (script,) = scripts(plan("--profile", "meluxina", "--render"))

    for line in (
        "#SBATCH --partition=cpu",
        "#SBATCH hetjob",
        "#SBATCH --partition=gpu",
        "#SBATCH --gres=gpu:4",
        "#SBATCH --exclusive",
        "module load env/release/2024.1 Apptainer/1.3.6-GCCcore-13.3.0",
    ):
        assert line in script.splitlines()
    assert "account" in script.splitlines()[1]  # what is missing is said at its head
    path = home / "job.sh"
    path.write_text(script)
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


def test_the_account_of_the_site_file_is_in_the_script(home: Path) -> None:
    CliRunner().invoke(app, ["init", "--site", "meluxina", "--account", "p200000"])

    (script,) = scripts(plan("--profile", "meluxina", "--render"))

    assert script.count("#SBATCH --account=p200000") == 2
    assert "takes no job" not in script
    assert str(home) in script  # the job's own files are named by absolute paths


def test_scripts_that_differ_in_their_names_only_are_written_once() -> None:
    deployments = CAMPAIGN["deployments"][:1]
    path = Path("trial.yaml")
    content = {**CAMPAIGN, "deployments": deployments, "execution": {"parallel_cells": 2}}
    path.write_text(yaml.safe_dump(content))

    arguments = ["plan", str(path), "--profile", "profiles/slurm", "--render"]
    output = CliRunner().invoke(app, arguments, catch_exceptions=False).output

    assert len(scripts(output)) == 1
    assert "# ---- lane 2" in output


def srun_lines(output: str) -> list[list[str]]:
    return [shlex.split(line) for line in output.splitlines() if line.startswith("srun ")]


def test_each_step_is_rendered_in_its_component() -> None:
    lines = srun_lines(plan("--profile", "meluxina", "--render"))

    def group(program: str) -> set[str]:
        found = [line for line in lines if any(program in word for word in line)]
        assert found
        return {word for line in found for word in line if word.startswith("--het-group=")}

    assert group("--config.file=") == {"--het-group=0"}
    assert group("escalade.load.client") == {"--het-group=0"}
    assert group("escalade.load.truth_server") == {"--het-group=1"}
    assert group("escalade.services.llama_server") == {"--het-group=1"}
    assert group("escalade.gpu.exporter") == {"--het-group=1"}
    assert group("node_exporter") == {"--het-group=0", "--het-group=1"}


def test_every_node_of_the_client_has_its_load_generator() -> None:
    path = Path("trial.yaml")
    deployments = CAMPAIGN["deployments"][:1]
    load = {**CAMPAIGN["load"], "workers": 3}
    slurm = {"client": {"nodes": 3}, "service": {"gpus": 0}}
    content = {**CAMPAIGN, "deployments": deployments, "load": load, "execution": {"slurm": slurm}}
    path.write_text(yaml.safe_dump(content))

    arguments = ["plan", str(path), "--profile", "profiles/slurm", "--render"]
    output = CliRunner().invoke(app, arguments, catch_exceptions=False).output

    def nodes(program: str) -> list[str]:
        lines = [line for line in srun_lines(output) if any(program in word for word in line)]
        return [word for line in lines for word in line if word.startswith("--nodelist=")]

    three = [f"--nodelist=$CLIENT_NODE{end}" for end in ("", "_2", "_3")]
    assert nodes("escalade.load.client") == three
    assert nodes("node_exporter") == ["--nodelist=$SERVICE_NODE", *three]
    assert nodes("--config.file=") == three[:1]
    assert "#SBATCH --nodes=3" in output


def test_only_the_service_and_its_exporter_get_gpus() -> None:
    lines = srun_lines(plan("--profile", "meluxina", "--render"))

    names = {
        word for line in lines if "--gres=gpu:4" in line for word in line if "--job-name" in word
    }
    assert names == {"--job-name=service", "--job-name=gpu-exporter"}


def test_steps_of_a_shared_allocation_name_no_group() -> None:
    output = plan("--profile", "profiles/slurm", "--render", slurm={"topology": "shared"})

    lines = srun_lines(output)
    assert lines
    assert not any(word.startswith("--het-group") for line in lines for word in line)
    assert "#SBATCH hetjob" not in output


def test_a_plan_starts_nothing_and_writes_nothing(home: Path) -> None:
    plan("--profile", "meluxina", "--render")

    assert [path.name for path in home.iterdir()] == ["trial.yaml"]
