"""The readers on what real Slurm printed: 22.05 recorded here, later versions as published."""

from __future__ import annotations

import math

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.slurm.limits import Qos, parse_partitions, parse_qos, parse_sinfo
from escalade.runtime.slurm.notation import SEPARATOR, scontrol_entries
from escalade.runtime.slurm.text import (
    Job,
    JobState,
    parse_sacct,
    parse_scontrol_jobs,
    parse_squeue,
    why_no_step,
)
from slurm_recordings import Situation, output, situations

SQUEUE = output("22.05/squeue.txt")
SACCT = output("22.05/sacct.txt")
SCONTROL = output("22.05/scontrol_show_job.txt")


def states(jobs: list[Job]) -> dict[str, JobState]:
    return {job.name: job.state for job in jobs}


def test_squeue_gives_every_line_a_job() -> None:
    assert len(parse_squeue(SQUEUE)) == len(SQUEUE.splitlines()) == 36


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("completed", JobState.COMPLETED),
        ("failed", JobState.FAILED),
        ("oom", JobState.OUT_OF_MEMORY),
        ("cancelled", JobState.CANCELLED),
        ("node_fail", JobState.NODE_FAIL),
        ("preempted", JobState.PREEMPTED),
        ("timeout", JobState.TIMEOUT),
        ("deadline2", JobState.DEADLINE),
    ],
)
def test_the_controller_and_the_accounting_agree_on_how_jobs_ended(
    name: str, state: JobState
) -> None:
    # The first try of `timeout` was preempted; the last line of a name counts.
    assert states(parse_squeue(SQUEUE))[name] is state
    assert states(parse_sacct(SACCT))[name] is state
    assert state.ended


def test_jobs_that_have_not_ended_are_told_apart() -> None:
    found = {(job.name, job.state) for job in parse_squeue(SQUEUE)}

    assert ("completing", JobState.COMPLETING) in found
    assert ("suspended", JobState.SUSPENDED) in found
    assert ("het_runs", JobState.RUNNING) in found
    assert ("held", JobState.PENDING) in found


def test_components_of_a_running_job_say_where_they_are() -> None:
    running = [job for job in parse_squeue(SQUEUE) if job.name == "het_runs"]

    assert [(job.id, job.number, job.nodes) for job in running] == [
        ("68+0", "68", ("node1",)),
        ("68+1", "69", ("node2",)),
    ]
    assert running[0].time_left_seconds == 3 * 60 + 51


def test_a_job_beyond_its_limit_has_no_known_time_left() -> None:
    (late,) = (
        job
        for job in parse_squeue(SQUEUE)
        if job.name == "timeout" and job.state is JobState.RUNNING
    )

    assert late.time_left_seconds is None  # squeue says INVALID until Slurm ends it


def test_jobs_that_can_never_start_are_told_from_those_that_wait() -> None:
    never = {job.name for job in parse_squeue(SQUEUE) if job.never_starts}
    waiting = {
        job.name
        for job in parse_squeue(SQUEUE)
        if job.state is JobState.PENDING and not job.never_starts
    }

    assert never == {
        *("never", "dependency", "qos_wall", "too_many_nodes", "too_many_cpus", "time_limit"),
        *("node_limit", "qos_not_allowed", "account_not_allowed"),
    }
    assert waiting >= {"begin", "held", "partition_down", "second_of_user", "priority", "resources"}


def test_a_reason_may_be_a_whole_sentence() -> None:
    reasons = {job.name: job.reason for job in parse_squeue(SQUEUE)}

    assert reasons["qos_not_allowed"] == (
        "Job's QOS not permitted to use this partition (excl allows short not default)"
    )
    assert reasons["completed"] == ""


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("completed", (0, None)),
        ("failed", (3, None)),
        ("killed", (None, 9)),
        ("no_log", (None, None)),  # Slurm writes 0:53
        ("oom", (None, None)),  # Slurm writes 0:125
        ("timeout", (0, None)),
    ],
)
def test_exit_codes_are_those_of_the_batch_script(
    name: str, pair: tuple[int | None, int | None]
) -> None:
    jobs = {job.name: job for job in parse_sacct(SACCT)}

    assert (jobs[name].exit_code, jobs[name].signal) == pair


def test_scontrol_tells_of_each_job_what_squeue_can_t() -> None:
    jobs = {job.id: job for job in parse_scontrol_jobs(SCONTROL)}

    assert len(jobs) == 12
    assert (jobs["27"].state, jobs["27"].exit_code) == (JobState.FAILED, 3)
    assert (jobs["33"].state, jobs["33"].reason) == (JobState.NODE_FAIL, "NodeDown")
    assert jobs["68+1"].number == "69"
    assert jobs["68+1"].nodes == ("node2",)
    assert jobs["68+1"].exit_code is None  # still runs
    assert jobs["43"].never_starts  # with underscores instead of blanks


def test_scontrol_s_long_and_short_form_say_the_same() -> None:
    long = {job.id: job for job in parse_scontrol_jobs(SCONTROL)}
    short = parse_scontrol_jobs(output("22.05/scontrol_show_job_oneliner.txt"))

    assert [job.id for job in short] == ["33", "68+0", "68+1"]
    assert [(job.name, job.partition, job.nodes) for job in short] == [
        (long[job.id].name, long[job.id].partition, long[job.id].nodes) for job in short
    ]


def test_a_later_scontrol_is_read() -> None:
    (job,) = parse_scontrol_jobs(output("published/scontrol_show_job_2026.txt"))

    assert (job.id, job.state, job.nodes) == ("6750802", JobState.RUNNING, ("a0132",))
    assert (job.name, job.partition) == ("sleep_60_min.sh", "nextgen")


def test_the_states_of_a_later_sacct_are_read_and_its_steps_left_out() -> None:
    text = ""
    for line in output("published/sacct_23.11.10.txt").splitlines():
        number, name, state = line.split("|")
        text += SEPARATOR.join((number, number, state, name, "", "", "", "")) + "\n"

    assert [job.state for job in parse_sacct(text)] == [
        JobState.CANCELLED,
        JobState.TIMEOUT,
        JobState.OUT_OF_MEMORY,
        JobState.NODE_FAIL,
        JobState.FAILED,
        JobState.RUNNING,
    ]


@pytest.mark.parametrize(
    "state",
    # https://slurm.schedmd.com/job_state_codes.html (October 2024)
    [
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PENDING", "PREEMPTED", "RUNNING", "SUSPENDED", "TIMEOUT"),
        *("COMPLETING", "CONFIGURING", "LAUNCH_FAILED", "POWER_UP_NODE", "RECONFIG_FAIL"),
        *("REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "RESV_DEL_HOLD", "REVOKED"),
        *("SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "UPDATE_DB"),
    ],
)
def test_every_documented_state_and_flag_is_known(state: str) -> None:
    assert JobState(state) == state


@pytest.mark.parametrize("lines", [1, 5, 36])
def test_a_cut_line_is_an_error_and_no_job(lines: int) -> None:
    whole = "\n".join(SQUEUE.splitlines()[:lines])

    with pytest.raises(InfrastructureError, match=r"squeue printed .*expected 8 fields, got 7"):
        parse_squeue(whole.rpartition(SEPARATOR)[0])


@pytest.mark.parametrize("text", ["garbage", "JOBID|STATE", "slurm_load_jobs error"])
def test_garbage_is_an_error(text: str) -> None:
    for parse in (parse_squeue, parse_sacct):
        with pytest.raises(InfrastructureError, match="expected 8 fields, got 1"):
            parse(text)


@pytest.mark.parametrize("text", ["", "\n", "  \n"])
def test_no_output_is_no_job(text: str) -> None:
    assert parse_squeue(text) == []
    assert parse_sacct(text) == []
    assert parse_scontrol_jobs(text) == []


def test_an_entry_without_a_state_is_an_error() -> None:
    with pytest.raises(InfrastructureError, match="an entry with JobState="):
        parse_scontrol_jobs("JobId=12 JobName=x\n")


# The words of the third are those of a node that comes back after a restart of slurmctld, too.
PASSING = {"nodes busy", "no controller", "more memory than the job has"}
STARTED = {"folder that does not exist", "exit code", "signal", "out of memory"}


@pytest.mark.parametrize("entry", situations("22.05/srun_failed.txt"), ids=lambda entry: entry.what)
def test_a_step_that_was_refused_is_told_from_one_that_failed(entry: Situation) -> None:
    found = why_no_step(entry.said)

    assert (found is None) == (entry.what in STARTED)
    assert found is None or found.passing == (entry.what in PASSING)


def test_srun_s_refusal_is_said_in_its_own_words() -> None:
    entries = {entry.what: entry for entry in situations("22.05/srun_failed.txt")}

    found = why_no_step(entries["more GPUs than the job has"].said)

    assert found is not None
    assert found.words.startswith("Step requested gres_per_node=gpu:3 is more than the job's")


def test_what_the_task_writes_is_no_refusal() -> None:
    assert why_no_step("error: Unable to create step\nTraceback (most recent call last):\n") is None
    assert why_no_step("") is None


def test_partitions_say_what_a_job_may_ask_for() -> None:
    found = parse_partitions(output("22.05/scontrol_show_partition.txt"))

    assert list(found) == ["cpu", "excl", "down", "urgent", "small", "priv", "gpu"]
    assert found["cpu"].default
    assert found["cpu"].nodes == ("node1", "node2", "node3")
    assert found["cpu"].max_seconds == 2 * 86400
    assert found["cpu"].max_nodes == math.inf
    assert not found["cpu"].whole_nodes
    assert found["excl"].whole_nodes
    assert found["excl"].qos == ("short",)
    assert found["small"].max_nodes == 1
    assert found["small"].max_seconds == 600
    assert not found["down"].up
    assert found["priv"].accounts == ("nobody",)
    assert found["gpu"].cpus == 6
    assert found["gpu"].own_qos is None


def test_a_later_partition_is_read() -> None:
    (found,) = parse_partitions(output("published/scontrol_show_partition_2025.txt")).values()

    assert (found.name, found.whole_nodes, found.max_seconds) == ("a3", True, math.inf)
    assert found.nodes[-1] == "nodeset-7"


def test_qos_say_their_limits_and_nothing_where_there_is_none() -> None:
    found = parse_qos(output("22.05/sacctmgr_show_qos.txt"))

    assert found["normal"] == Qos("normal", None, None, None, None, None)
    assert found["short"] == Qos("short", 1800, 1, None, 1, None)
    assert found["dev"] == Qos("dev", 6 * 3600, 1, None, None, 1)
    assert found["test"].max_submitted_per_user == 1


def test_the_qos_of_another_site_are_read() -> None:
    header, *rows = output("published/sacctmgr_show_qos.txt").splitlines()
    wanted = [
        header.split("|").index(name)
        for name in ("Name", "MaxWall", "MaxJobsPU", "MaxSubmitPU", "MaxTRES", "MaxTRESPU")
    ]
    text = "\n".join("|".join(row.split("|")[column] for column in wanted) for row in rows)

    found = parse_qos(text)

    assert found["qos_gpu-dev"] == Qos("qos_gpu-dev", 7200, None, 10, None, None)
    assert found["qos_cpu-t3"].max_submitted_per_user == 10000


def test_sinfo_says_what_nodes_have() -> None:
    first, *_ = parse_sinfo(output("22.05/sinfo_format.txt"))

    assert (first.partition, first.state, first.cpus, first.memory_mb) == ("cpu", "idle", 2, 4000)
    assert first.gpus == {"a100": 4}
    assert first.nodes == ("node1", "node2", "node3")


def test_values_with_blanks_do_not_hide_what_follows_them() -> None:
    nodes = scontrol_entries(output("22.05/scontrol_show_node.txt"), "NodeName")

    assert [node["NodeName"] for node in nodes] == ["node1", "node2", "node3"]
    assert nodes[0]["OS"] == "Linux"
    assert nodes[0]["RealMemory"] == "4000"
    assert nodes[2]["Partitions"] == "cpu,excl,down,urgent,small,priv,gpu"
