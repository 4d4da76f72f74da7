"""What Slurm prints."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InfrastructureError
from escalade.runtime.slurm.notation import SEPARATOR, expand_hosts, parse_exit_code, parse_time
from escalade.runtime.slurm.text import (
    Job,
    JobState,
    parse_sbatch,
    parse_squeue,
)


def row(*fields: str) -> str:
    return SEPARATOR.join(fields) + "\n"


def test_a_running_component_is_read() -> None:
    (job,) = parse_squeue(row("5+1", "6", "RUNNING", "het", "gpu", "26:26", "node[2-3]", "None"))

    assert job == Job(
        id="5+1",
        number="6",
        state=JobState.RUNNING,
        nodes=("node2", "node3"),
        name="het",
        partition="gpu",
        time_left_seconds=26 * 60 + 26,
    )
    assert (job.het_job_id, job.het_offset, job.submitted_as) == ("5", 1, "5")


@pytest.mark.parametrize(
    ("text", "job"), [("12\n", "12"), ("12;throwaway\n", "12"), ("Welcome!\n12\n", "12")]
)
def test_sbatch_s_job_id_is_read(text: str, job: str) -> None:
    assert parse_sbatch(text) == job


@pytest.mark.parametrize("text", ["", "Submitted batch job", "12+0", "x12"])
def test_no_job_id_is_an_error(text: str) -> None:
    with pytest.raises(InfrastructureError, match="no job id"):
        parse_sbatch(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("03:04", 184),
        ("02:03:04", 7384),
        ("1-02:03:04", 93784),
        ("1-02:03", 93780),
        ("1-02", 93600),
        ("2-00:00:00", 172800),
        ("0:00", 0),
        ("UNLIMITED", math.inf),
        ("infinite", math.inf),
        ("INVALID", None),
        ("NOT_SET", None),
        ("Partition_Limit", None),
        ("", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("(null)", ()),
        ("None assigned", ()),
        ("login", ("login",)),
        ("mel[0001-0003,0007],login", ("mel0001", "mel0002", "mel0003", "mel0007", "login")),
        ("n[9-11]", ("n9", "n10", "n11")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("a[1]-ib,b", ("a1-ib", "b")),
    ],
)
def test_host_lists(text: str, hosts: tuple[str, ...]) -> None:
    assert expand_hosts(text) == hosts


@pytest.mark.parametrize("text", ["n[1-", "n[3-1]", "n[a]", "n[]", "n1]", "n[0-99999999999]"])
def test_what_is_no_host_list_is_an_error(text: str) -> None:
    with pytest.raises(InfrastructureError, match="list of hosts"):
        expand_hosts(text)


@pytest.mark.parametrize("state", JobState)
def test_no_state_both_runs_and_has_ended(state: JobState) -> None:
    assert not (state.running and state.ended)


def test_what_slurm_adds_to_a_state_is_left_out_and_new_states_are_unknown() -> None:
    assert JobState("CANCELLED by 1000") is JobState.CANCELLED
    assert JobState("CANCELLED+") is JobState.CANCELLED
    assert JobState("LEVITATING") is JobState.UNKNOWN
    assert JobState("") is JobState.UNKNOWN


@pytest.mark.parametrize(
    ("text", "pair"),
    [("0:0", (0, None)), ("3:0", (3, None)), ("0:9", (None, 9)), ("", (None, None))],
)
def test_exit_codes(text: str, pair: tuple[int | None, int | None]) -> None:
    assert parse_exit_code(text) == pair


FIELD = st.text(st.characters(exclude_characters=f"\n{SEPARATOR}")).map(str.strip)


@given(name=FIELD, reason=FIELD)
def test_whatever_a_name_or_reason_holds_the_other_fields_are_read(name: str, reason: str) -> None:
    (job,) = parse_squeue(row("7", "7", "PENDING", name, "gpu", "1:00", "n[1-2]", reason))

    assert (job.state, job.partition, job.nodes) == (JobState.PENDING, "gpu", ("n1", "n2"))
    assert job.name == name


@given(
    hosts=st.lists(
        st.tuples(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.integers(0, 50)), min_size=1
    ),
    length=st.integers(1, 9),
)
def test_a_host_list_gives_as_many_names_as_its_ranges_count(
    hosts: list[tuple[str, int]], length: int
) -> None:
    text = ",".join(f"{name}[{first}-{first + length - 1}]" for name, first in hosts)

    assert expand_hosts(text) == tuple(
        f"{name}{number}" for name, first in hosts for number in range(first, first + length)
    )


@given(seconds=st.integers(0, 10**7))
def test_a_time_that_slurm_writes_is_read_back(seconds: int) -> None:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02}:{minutes:02}:{rest:02}"

    assert parse_time(f"{days}-{clock}" if days else clock) == seconds
