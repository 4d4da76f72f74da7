"""The batch script and the command line of a step."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import pytest

from escalade.runtime.slurm.request import AllocationRequest, ComponentRequest
from escalade.runtime.slurm.script import clean_environment, sbatch_script, srun_argv

CLIENT = ComponentRequest(
    name="client", partition="cpu", account="p200000", qos="default", cpus=4, memory_mb=2000
)
SERVICE = ComponentRequest(
    name="service",
    partition="gpu",
    account="p200000",
    qos="short",
    reservation="gpudev",
    constraint="a100&nvlink",
    nodes=2,
    cpus=8,
    memory_mb=0,
    gpus=4,
    gpu_type="a100",
    exclusive=True,
    extra=("--nodelist=node2,node3", "-wnode4"),
)


def request(*components: ComponentRequest, **changes: object) -> AllocationRequest:
    given: dict[str, object] = {
        "name": "cell-1",
        "components": components or (ComponentRequest(name="all"),),
        "time_limit_seconds": 601,
        "log": Path("/runs/a/allocation.log"),
        "command": ("/env/bin/python", "-m", "hold"),
    }
    return AllocationRequest(**{**given, **changes})  # type: ignore[arg-type]


def test_a_plain_job_asks_for_what_was_said_and_nothing_else() -> None:
    script = sbatch_script(request())

    assert script.splitlines()[0] == "#!/bin/bash -l"
    assert directives(script) == [
        "--output=/runs/a/allocation.log",
        "--export=NONE",
        "--job-name=cell-1",
        "--no-requeue",
        "--time=11",  # 601 s
        "--nodes=1",
        "--ntasks-per-node=1",
    ]
    assert script.splitlines()[-1] == "exec /env/bin/python -m hold"


def test_components_are_divided_by_hetjob_in_their_order() -> None:
    first, second = sbatch_script(request(CLIENT, SERVICE)).split("#SBATCH hetjob\n")

    assert "--partition=cpu" in directives(first)
    assert directives(second) == [
        "--job-name=cell-1",
        "--no-requeue",
        "--time=11",
        "--partition=gpu",
        "--account=p200000",
        "--qos=short",
        "--reservation=gpudev",
        "--constraint=a100&nvlink",
        "--nodes=2",
        "--ntasks-per-node=1",
        "--cpus-per-task=8",
        "--mem=0",
        "--gres=gpu:a100:4",
        "--exclusive",
        "--nodelist=node2,node3",
        "-w node4",
    ]


def directives(script: str) -> list[str]:
    return [
        line.removeprefix("#SBATCH ")
        for line in script.splitlines()
        if line.startswith("#SBATCH") and line != "#SBATCH hetjob"
    ]


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0.1, 1), (60, 1), (60.1, 2), (3600, 60), (172800, 2880)]
)
def test_the_time_limit_is_rounded_up_to_minutes(seconds: float, minutes: int) -> None:
    assert f"#SBATCH --time={minutes}\n" in sbatch_script(request(time_limit_seconds=seconds))


def test_the_warning_goes_to_the_batch_script_alone() -> None:
    first, second = sbatch_script(request(CLIENT, SERVICE, warn_seconds=299.2)).split(
        "#SBATCH hetjob\n"
    )

    assert "#SBATCH --signal=B:USR1@300\n" in first
    assert "--signal" not in second


def test_a_successor_waits_for_the_whole_job_however_that_ends() -> None:
    first, second = sbatch_script(request(CLIENT, SERVICE, after="71")).split("#SBATCH hetjob\n")

    assert "#SBATCH --dependency=afterany:71\n" in first
    assert "--dependency" not in second


def test_a_percent_sign_in_the_log_is_no_placeholder_of_slurm() -> None:
    script = sbatch_script(request(log=Path("/runs/100%/a b.log")))

    assert '#SBATCH "--output=/runs/100%%/a b.log"\n' in script


@pytest.fixture
def run_body(tmp_path: Path) -> object:
    """Run a script as bash would on the node, with `#SBATCH` lines as comments."""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "job.sh"
        path.write_text(script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        return subprocess.run(
            ["bash", path], env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_the_command_comes_through_whatever_signs_it_holds(run_body) -> None:  # noqa: ANN001
    words = ["a b", "c'd", 'e"f', "$HOME", "`id`", "g\\h", "#i", "*", "", "é;&|"]

    done = run_body(sbatch_script(request(command=("printf", "<%s>", *words))))

    assert done.stdout == "".join(f"<{word}>" for word in words)


def test_the_setup_of_the_site_changes_the_shell_of_the_command(run_body) -> None:  # noqa: ANN001
    setup = ("module() { export LOADED=$2; }", "if true; then", "  module load Apptainer", "fi")

    done = run_body(sbatch_script(request(setup=setup, command=("sh", "-c", "echo $LOADED"))))

    assert done.stdout == "Apptainer\n"


def test_a_failing_setup_ends_the_job_and_names_its_line(run_body) -> None:  # noqa: ANN001
    setup = ("module() { echo 'unknown: '$2 >&2; return 3; }", "module load 'A B'", "echo after")

    done = run_body(sbatch_script(request(setup=setup, command=("echo", "held"))))

    assert done.returncode == 1
    assert done.stdout == ""
    assert "unknown: A B" in done.stderr
    assert "the setup of the site failed (status 3) at: " in done.stderr


def test_a_job_without_the_environment_of_a_login_still_knows_its_home(tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(sbatch_script(request(command=("env",))))

    done = subprocess.run(
        ["bash", script],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"HOME={pwd.getpwuid(os.getuid()).pw_dir}" in done.stdout.splitlines()
    assert "SLURM_EXPORT_ENV=ALL" in done.stdout.splitlines()


def test_a_step_says_all_that_it_takes() -> None:
    argv = srun_argv(
        "12",
        ["/env/bin/python", "-m", "frame"],
        het_group=1,
        nodelist="node3",
        cpus=2,
        memory_mb=500,
        gpus=1,
        name="service",
        chdir=Path("/runs/a"),
    )

    assert argv == (
        "srun",
        "--jobid=12",
        "--job-name=service",
        "--overlap",
        "--immediate=5",
        "--nodes=1",
        "--ntasks=1",
        "--cpu-bind=none",
        "--mpi=none",
        "--export=ALL",
        "--input=none",
        "--unbuffered",
        "--gres=gpu:1",
        "--het-group=1",
        "--nodelist=node3",
        "--cpus-per-task=2",
        "--mem=500",
        "--chdir=/runs/a",
        "/env/bin/python",
        "-m",
        "frame",
    )


def test_a_step_of_a_plain_job_that_asks_for_nothing_sees_no_gpu() -> None:
    argv = srun_argv(
        "12",
        ["true"],
        het_group=None,
        nodelist=None,
        cpus=None,
        memory_mb=None,
        gpus=0,
        name="x",
        chdir=None,
    )

    assert "--gres=none" in argv
    assert not [word for word in argv if word.startswith(("--het", "--cpus", "--mem", "--chdir"))]


def test_no_variable_of_another_job_or_of_slurms_options_is_handed_on() -> None:
    kept = {"SLURM_CONF": "/etc/slurm/slurm.conf", "PATH": "/bin", "SLURMISH": "1", "SRUN": "2"}
    dropped = {
        "SLURM_JOB_ID": "7",
        "SLURM_EXPORT_ENV": "NONE",
        "SLURMD_NODENAME": "node1",
        "SRUN_CPUS_PER_TASK": "3",
        "SBATCH_PARTITION": "gpu",
        "SQUEUE_FORMAT": "%i",
        "SACCT_FORMAT": "JobID",
        "PMI_RANK": "0",
    }

    assert clean_environment({**kept, **dropped}) == kept
