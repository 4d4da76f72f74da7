"""Slurm's programs, replaced by small ones that say what the real ones said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError, InputError, ToolMissingError
from escalade.runtime.slurm.commands import Slurm, SlurmUnreachableError, Step
from escalade.runtime.slurm.notation import SEPARATOR
from escalade.runtime.slurm.text import Job, JobState
from slurm_recordings import Situation, StandIns, output, situations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SILENCES = [*situations("22.05/no_answer.txt"), *situations("published/no_answer.txt")]
REFUSALS = [*situations("22.05/sbatch_refused.txt"), *situations("published/sbatch_refused.txt")]
NO_SUCH_JOB = {entry.command: entry for entry in situations("22.05/no_such_job.txt")}
SQUEUE = output("22.05/squeue.txt")


class Clock:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def programs(tmp_path: Path) -> StandIns:
    folder = tmp_path / "bin"
    folder.mkdir()
    return StandIns(folder)


@pytest.fixture
def slurm(programs: StandIns, clock: Clock) -> Slurm:
    environ = {"PATH": f"{programs.folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "1"}
    return Slurm(environ, patience_seconds=30, sleep=clock.sleep, clock=clock.read)


def lines(*beginnings: str) -> str:
    """Give the recorded lines of squeue that begin with these ids."""
    return "".join(
        line + "\n"
        for line in SQUEUE.splitlines()
        if line.split(SEPARATOR)[0].partition("+")[0] in beginnings
    )


def silence(program: str) -> Situation:
    return next(entry for entry in SILENCES if entry.command.startswith(program))


def test_a_submitted_script_is_kept_and_its_job_known(
    slurm: Slurm, programs: StandIns, tmp_path: Path
) -> None:
    programs.answers("sbatch", "12;throwaway\n")

    assert slurm.submit("#!/bin/sh\n", tmp_path / "run") == "12"
    (script,) = (tmp_path / "run").glob("job-*.sh")
    assert programs.calls("sbatch") == [f"--parsable {script}"]
    assert script.read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda entry: entry.what)
def test_a_refusal_is_the_users_to_mend_and_says_slurms_own_words(
    slurm: Slurm, programs: StandIns, tmp_path: Path, refusal: Situation
) -> None:
    programs.says("sbatch", refusal)

    with pytest.raises(InputError) as caught:
        slurm.submit("", tmp_path)

    last = refusal.said.strip().splitlines()[-1].removeprefix("sbatch: error: ")
    assert last.rstrip(".") in str(caught.value)
    assert len(programs.calls("sbatch")) == 1  # asking again is useless


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("account of others", "Check `account`"),
        ("partition that does not exist", "Check `partition`"),
        ("QOS of others", "Check `qos`"),
        ("reservation that does not exist", "Check `reservation`"),
        ("feature that no node has", "Check `constraint`"),
        ("another GRES", "Check `gpus`"),
        ("more memory than a node has", "Check `memory_mb`"),
        ("more CPUs than a node has", "Check `nodes` and `cpus`"),
        ("more time than the partition gives", "list the limits"),
        ("more jobs than the QOS lets a user submit", "list the limits"),
    ],
)
def test_a_refusal_says_what_to_check(
    slurm: Slurm, programs: StandIns, tmp_path: Path, what: str, hint: str
) -> None:
    programs.says("sbatch", next(entry for entry in REFUSALS if entry.what == what))

    with pytest.raises(InputError, match=hint):
        slurm.submit("", tmp_path)


def test_a_job_accepted_without_an_answer_is_found_and_not_submitted_twice(
    slurm: Slurm, programs: StandIns, tmp_path: Path
) -> None:
    programs.says("sbatch", silence("sbatch"))
    script = tmp_path / "job-known.sh"
    programs.answers("squeue", f"14 {script}\n13 {script}\n9 /other.sh\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("secrets.token_hex", lambda _: "known")
        assert slurm.submit("", tmp_path) == "13"  # the first component of 13+0, 13+1

    assert len(programs.calls("sbatch")) == 1


def test_a_submission_without_an_answer_is_repeated_when_no_job_came_of_it(
    slurm: Slurm, programs: StandIns, tmp_path: Path
) -> None:
    programs.says("sbatch", silence("sbatch"))
    programs.answers("sbatch", "15\n")
    programs.answers("squeue", "9 /other.sh\n")

    assert slurm.submit("", tmp_path) == "15"
    assert len(programs.calls("squeue")) == 3  # the controller may still be working it off


def test_a_controller_that_stays_away_ends_the_submission(
    slurm: Slurm, programs: StandIns, clock: Clock, tmp_path: Path
) -> None:
    programs.says("sbatch", silence("sbatch"))
    programs.says("squeue", silence("squeue"))

    with pytest.raises(SlurmUnreachableError, match=r"no answer to `sbatch .* for 30 s \(.*timed"):
        slurm.submit("", tmp_path)

    assert 30 <= clock.now <= 40


@pytest.mark.parametrize(
    "entry", [entry for entry in SILENCES if "sacct" not in entry.command], ids=str
)
def test_silence_is_no_answer_about_a_job(
    slurm: Slurm, programs: StandIns, clock: Clock, entry: Situation
) -> None:
    programs.says("squeue", entry)

    with pytest.raises(SlurmUnreachableError, match="Jobs go on meanwhile"):
        slurm.jobs(["12"])

    assert 3 <= len(programs.calls("squeue")) <= 10
    assert clock.now <= 30


def test_an_answer_after_silence_counts(slurm: Slurm, programs: StandIns) -> None:
    programs.says("squeue", silence("squeue"))
    programs.answers("squeue", lines("68"))

    assert [job.state for job in slurm.jobs(["68"])["68"]] == [JobState.RUNNING] * 2


def test_a_program_that_hangs_is_silence(programs: StandIns, clock: Clock) -> None:
    path = programs.folder / "squeue"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    slurm = Slurm(
        {"PATH": f"{programs.folder}:{os.environ['PATH']}"},
        timeout_seconds=0.1,
        patience_seconds=1,
        sleep=clock.sleep,
        clock=clock.read,
    )

    with pytest.raises(SlurmUnreachableError, match=r"no end within 0\.1 s"):
        slurm.jobs(["12"])


def test_jobs_are_asked_for_together_and_told_apart(slurm: Slurm, programs: StandIns) -> None:
    programs.answers("squeue", lines("68", "70"))

    found = slurm.jobs(["70", "68", "70"])

    assert [job.id for job in found["68"]] == ["68+0", "68+1"]
    assert [job.reason for job in found["70"]] == ["Resources"]
    assert "--jobs=70,68" in programs.calls("squeue")[0]


def test_nobody_is_asked_about_no_job(slurm: Slurm, programs: StandIns) -> None:
    assert slurm.jobs([]) == {}
    assert programs.calls("squeue") == []


def test_the_exit_code_of_an_ended_job_is_asked_for(slurm: Slurm, programs: StandIns) -> None:
    programs.answers("squeue", lines("27"))
    entries = output("22.05/scontrol_show_job.txt").split("\n\nJobId=")
    programs.answers("scontrol", next(f"JobId={part}" for part in entries if part[:2] == "27"))

    (job,) = slurm.jobs(["27"])["27"]

    assert (job.state, job.exit_code, job.reason) == (JobState.FAILED, 3, "NonZeroExitCode")


def test_an_ended_job_forgotten_meanwhile_is_what_squeue_said(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.answers("squeue", lines("27"))
    programs.says("scontrol", NO_SUCH_JOB["scontrol show job 999999"])

    (job,) = slurm.jobs(["27"])["27"]

    assert (job.state, job.exit_code) == (JobState.FAILED, None)


def test_a_job_that_the_controller_forgot_is_asked_of_the_accounting(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.says("squeue", NO_SUCH_JOB["squeue --noheader --jobs=999999 --format=%i"])
    programs.answers("sacct", output("22.05/sacct.txt"))

    (job,) = slurm.jobs(["66"])["66"]

    assert job.state is JobState.TIMEOUT
    assert "--jobs=66" in programs.calls("sacct")[0]


def test_without_accounting_a_forgotten_job_is_unknown_and_sacct_is_not_asked_again(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.answers("squeue", "")
    programs.says("sacct", situations("22.05/no_accounting.txt")[0])

    for _ in range(2):
        (job,) = slurm.jobs(["12"])["12"]
        assert job.state is JobState.UNKNOWN
        assert job.gone

    assert len(programs.calls("sacct")) == 1


def test_a_database_that_is_away_does_not_hold_up_the_answer_that_a_job_is_gone(
    slurm: Slurm, programs: StandIns, clock: Clock
) -> None:
    programs.answers("squeue", "")
    programs.says("sacct", silence("sacct"))

    (job,) = slurm.jobs(["12"])["12"]

    assert job.gone
    assert "Problem talking to the database" in job.reason
    assert clock.now == 0


def test_what_only_the_accounting_believes_to_run_does_not_run(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.answers("squeue", "")
    row = ("12", "12", "RUNNING", "x", "cpu", "0:0", "node1", "None")
    programs.answers("sacct", SEPARATOR.join(row) + "\n")

    (job,) = slurm.jobs(["12"])["12"]

    assert (job.state, job.reason, job.gone) == (JobState.UNKNOWN, "sacct says RUNNING", True)


def test_each_job_is_cancelled_by_itself(slurm: Slurm, programs: StandIns) -> None:
    programs.says("scancel", NO_SUCH_JOB["scancel --signal=TERM 999999.0"])

    slurm.cancel(["12", "13", "12"])

    assert programs.calls("scancel") == ["12", "13"]


def test_a_refused_cancellation_is_said(slurm: Slurm, programs: StandIns) -> None:
    said = "scancel: error: Kill job error on job id 1: Access/permission denied\n"
    programs.answers("scancel", said=said, code=1)

    with pytest.raises(InfrastructureError, match=r"`scancel 12` failed .*permission denied"):
        slurm.cancel(["12"])


def test_the_steps_of_components_are_found_by_their_numbers(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.answers("squeue", output("22.05/squeue_steps.txt"))

    assert slurm.steps(["68", "69"]) == [Step("68.0", "prometheus"), Step("69.1", "service")]
    assert "--jobs=68,69" in programs.calls("squeue")[0]


def test_a_step_that_is_over_can_t_be_signalled(slurm: Slurm, programs: StandIns) -> None:
    programs.answers("scancel")
    programs.says("scancel", NO_SUCH_JOB["scancel --signal=TERM 999999.0"])

    assert slurm.signal_step("69.1", "TERM")
    assert not slurm.signal_step("69.1", "TERM")
    assert programs.calls("scancel")[0] == "--signal=TERM 69.1"


def test_a_batch_script_is_signalled_apart_from_its_steps(slurm: Slurm, programs: StandIns) -> None:
    programs.answers("scancel")
    programs.says("scancel", NO_SUCH_JOB["scancel --signal=TERM 999999.0"])

    slurm.signal_batch("69", "TERM")
    slurm.signal_batch("69", "TERM")  # it is over by now: that harms nobody

    assert programs.calls("scancel") == ["--batch --signal=TERM 69"] * 2


@pytest.mark.parametrize(("number", "place"), [("31", (1, 3)), ("12", (2, 3)), ("40", (0, 0))])
def test_the_place_in_the_queue_counts_jobs_by_priority(
    slurm: Slurm, programs: StandIns, number: str, place: tuple[int, int]
) -> None:
    programs.answers("squeue", "31\n12\n12\n9\n")  # an array's tasks share their number

    waiting = Job(number, number, JobState.PENDING, partition="gpu")

    assert slurm.position(waiting) == place
    (call,) = programs.calls("squeue")
    assert "--partition=gpu" in call
    assert "--sort=-p,i" in call


def test_the_version_is_that_of_the_programs(slurm: Slurm, programs: StandIns) -> None:
    programs.answers("sinfo", "slurm-wlm 22.05.8\n")

    assert slurm.version() == "22.05.8"


@pytest.mark.parametrize(
    "said", situations("22.05/no_configuration.txt"), ids=lambda it: it.command
)
def test_programs_without_a_cluster_are_told_from_a_refusal(
    slurm: Slurm, programs: StandIns, tmp_path: Path, said: Situation
) -> None:
    programs.says(said.command.split()[0], said)

    calls: dict[str, Callable[[], object]] = {
        "sbatch": lambda: slurm.submit("#!/bin/sh\n", tmp_path),
        "squeue": lambda: slurm.jobs(["1"]),
    }
    with pytest.raises(ToolMissingError, match="is here, but no cluster"):
        calls[said.command.split()[0]]()


def test_a_machine_without_slurm_is_said_to_be_one(tmp_path: Path) -> None:
    slurm = Slurm({"PATH": str(tmp_path)})

    assert not slurm.available()
    with pytest.raises(ToolMissingError, match="sinfo can't be run: it is not on PATH"):
        slurm.version()


def test_slurm_is_available_with_all_its_programs(programs: StandIns) -> None:
    slurm = Slurm({"PATH": str(programs.folder)})
    for program in ("sbatch", "squeue", "scancel", "scontrol", "sinfo"):
        programs.answers(program)
        assert not slurm.available()
    programs.answers("srun")

    assert slurm.available()


def test_other_output_is_given_as_it_is_and_other_failures_are_said(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.answers("scontrol", "PartitionName=cpu\n")
    programs.answers("scontrol", said="scontrol: error: no\n", code=1)

    assert slurm.read(["scontrol", "show", "partition"]) == "PartitionName=cpu\n"
    with pytest.raises(
        InfrastructureError, match="`scontrol show partition` failed with code 1: no"
    ):
        slurm.read(["scontrol", "show", "partition"])
