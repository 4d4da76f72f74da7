"""The ledger: what is read back after a crash, and what a sweep may touch."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.errors import InfrastructureError
from escalade.runtime import ledger, processes
from support import usual_signals

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = st.builds(
    ledger.Entry,
    pid=st.integers(1, 2**22),
    start_time=st.integers(0, 2**40),
    group=st.integers(0, 2**22),
    session=st.integers(0, 2**22),
    role=st.sampled_from(["keeper", "holder", "service"]),
    cell=st.text(max_size=20),
    name=st.text(max_size=20),
    allocation=st.text(max_size=20),
    boot=st.uuids().map(str),
)


def lines(entries: list[ledger.Entry]) -> bytes:
    return b"".join(json.dumps(dataclasses.asdict(entry)).encode() + b"\n" for entry in entries)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(entries=st.lists(ENTRIES, max_size=5), data=st.data())
def test_a_ledger_cut_anywhere_gives_every_whole_line(
    tmp_path: Path, entries: list[ledger.Entry], data: st.DataObject
) -> None:
    content = lines(entries)
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content[:cut])

    whole = content[:cut].count(b"\n")
    found = ledger.read(path)

    assert found[:whole] == entries[:whole]
    assert len(found) - whole in {0, 1}  # a last line may lack nothing but its line break


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(garbage=st.binary(max_size=80))
def test_garbage_in_a_ledger_hides_no_entry(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(garbage)

    entry = ledger.record(path, os.getpid(), role="service")

    assert ledger.read(path)[-1] == entry


def test_an_entry_after_a_cut_line_is_not_swallowed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"pid": 12')

    entry = ledger.record(path, os.getpid(), role="service", name="after the crash")

    assert ledger.read(path) == [entry]


def test_an_entry_names_the_process_by_its_kernel_start_time(tmp_path: Path) -> None:
    entry = ledger.record(tmp_path / "l", os.getpid(), role="load", cell="a", name="b")

    assert entry is not None
    assert entry.identity == processes.own_identity()
    assert entry.session == os.getsid(0)
    assert entry.group == os.getpgrp()


def test_a_missing_ledger_is_empty_and_sweeps_nothing(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none") == []
    assert ledger.sweep(tmp_path / "none") == ledger.Swept(frozenset(), frozenset())


def test_a_process_that_is_gone_is_not_entered(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()

    assert ledger.record(tmp_path / "l", child.pid, role="service") is None


def test_a_ledger_that_cant_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"ledger .* can't be written: .*free some space"):
        ledger.record(tmp_path / "missing" / "ledger", os.getpid(), role="service")


def sleeper(**options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], preexec_fn=usual_signals, **options)  # type: ignore[call-overload,no-any-return]


def entry_of(pid: int, **changes: object) -> ledger.Entry:
    found = processes.read_stat(pid)
    assert found is not None
    entry = ledger.Entry(
        pid, found.start_time, found.group, found.session, "service", "", "", "",
        processes.boot_id(),
    )  # fmt: skip
    return dataclasses.replace(entry, **changes)  # type: ignore[arg-type]


def test_a_sweep_ends_an_entered_process_and_says_so() -> None:
    child = sleeper(start_new_session=True)
    entry = entry_of(child.pid)

    swept = ledger.sweep_entries([entry])

    assert child.wait() == -15
    assert swept == ledger.Swept(frozenset({entry.identity}), frozenset())


@pytest.mark.parametrize(
    "changes", [{"start_time": 1}, {"boot": "another boot"}], ids=["start time", "boot"]
)
def test_a_sweep_never_touches_a_process_that_only_has_the_pid(changes: dict[str, object]) -> None:
    child = sleeper(start_new_session=True)
    try:
        swept = ledger.sweep_entries([entry_of(child.pid, **changes)])

        assert swept.ended == frozenset()
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_sweep_spares_what_shares_a_session_that_the_process_did_not_make() -> None:
    child, bystander = sleeper(), sleeper()  # both in the session of this test
    try:
        ledger.sweep_entries([entry_of(child.pid)])

        assert child.wait() == -15
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_sweep_spares_the_process_that_sweeps_and_its_ancestors() -> None:
    script = (
        "import os, sys\n"
        "from escalade.runtime import ledger, processes\n"
        "me = processes.read_stat(os.getpid())\n"
        "entry = ledger.Entry(me.pid, me.start_time, me.group, me.session, 'load', '', '', '',\n"
        "                     processes.boot_id())\n"
        "print(len(ledger.sweep_entries([entry]).ended))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "0\n"


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    child = subprocess.Popen(
        ["bash", "-c", "trap '' TERM; echo; while true; do sleep 0.05; done"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    child.stdout.readline()  # the trap is set

    ledger.sweep_entries([entry_of(child.pid)], grace=0.2)

    assert child.wait() == -9
    child.stdout.close()


def test_a_stopped_process_is_swept_too() -> None:
    child = sleeper(start_new_session=True)
    os.kill(child.pid, 19)

    ledger.sweep_entries([entry_of(child.pid)])

    assert child.wait() == -15
