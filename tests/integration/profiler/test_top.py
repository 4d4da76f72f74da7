"""The live view of a real head, in a terminal and without one."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import time
from typing import TYPE_CHECKING

from profiling import Rig, until
from support import usual_signals

if TYPE_CHECKING:
    from collections.abc import Callable


def in_terminal(rig: Rig, ready: Callable[[str], bool]) -> tuple[int, str]:
    """Run top in a terminal of 100 × 30 until `ready` likes what it drew; give code and output."""
    pid, terminal = pty.fork()
    if pid == 0:
        usual_signals()
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        command = [sys.executable, "-P", "-m", "escalade", "profile", "top", rig.address]
        os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted
    drawn, deadline = "", time.monotonic() + 30
    interrupted = False
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        drawn += piece.decode("utf-8", "replace")
        if not interrupted and (ready(drawn) or time.monotonic() > deadline):
            interrupted = True
            os.kill(pid, signal.SIGINT)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn


def test_top_draws_all_gpus_and_leaves_the_terminal_as_it_was(rig: Rig) -> None:
    rig.head()
    rig.node("alpha")
    until(lambda: rig.ask("status", rig.address)["healthy"] == 1)

    code, drawn = in_terminal(rig, lambda text: "alpha:1" in text and text.count("alpha:0") > 3)

    assert code == 0
    assert "every 250 ms" in drawn
    assert "1 of 1 nodes healthy" in drawn
    assert drawn.count("\x1b[?1049h") == drawn.count("\x1b[?1049l") == 1
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l"), "the cursor is back"


def test_once_prints_a_table_or_an_object(rig: Rig) -> None:
    rig.head()
    rig.node("alpha")
    until(lambda: rig.ask("status", rig.address)["healthy"] == 1)
    time.sleep(1)

    once = rig.run("top", rig.address, "--once")
    told = json.loads(rig.run("top", rig.address, "--once", "--json"))
    assert "alpha:0" in once
    assert [gpu["gpu_id"].split(":")[0] for gpu in told["gpus"]] == ["alpha", "alpha"]
    values = told["gpus"][0]["values"]
    assert 2.4e9 < values["pcie_received_bytes_per_second"] < 2.6e9
    assert told["gpus"][0]["age_seconds"] < 3


def test_a_head_that_is_not_there_is_said(rig: Rig) -> None:
    assert "No head of the profiler answers" in rig.run("top", rig.address, code=3)
