"""Whatever is killed or stopped: nothing is left behind, and finished cells stay."""

from __future__ import annotations

import os
import signal
import time

import pandas as pd
import pytest

from escalade.files import read_json, sha256_of
from workplace import Workplace, deployment, ladder, until

pytestmark = pytest.mark.timeout(600)
LEASE_SECONDS = 15.0


@pytest.mark.slow
def test_after_a_kill_nothing_runs_and_finished_cells_are_kept(workplace: Workplace) -> None:
    workplace.write(
        deployments=[deployment("first"), deployment("second")], load=ladder((10, 1), (20, 3))
    )
    child = workplace.drive()
    until(lambda: len(workplace.cells()) == 1, 200)
    kept = sha256_of(workplace.results / "cells" / workplace.cells()[0] / "requests.parquet")
    until(lambda: sum(e.stage == "run_load_2" for e in workplace.events()) >= 3, 200)

    os.killpg(child.pid, signal.SIGKILL)

    assert workplace.await_silence(LEASE_SECONDS) <= LEASE_SECONDS
    code, output = workplace.run()
    assert code == 0, output
    first = workplace.cells()[0]
    assert first.startswith("first")
    assert sha256_of(workplace.results / "cells" / first / "requests.parquet") == kept
    assert len(workplace.cells()) == 2


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["snakemake", "holder", "keeper"])
def test_a_kill_of_one_part_leaves_nothing_behind(workplace: Workplace, victim: str) -> None:
    workplace.write(load=ladder((10, 2), (20, 8)))
    child = workplace.drive()
    workplace.await_stage("run_load_2")
    time.sleep(1)

    for process in workplace.running(victim):
        process.kill()
    child.communicate(timeout=200)

    workplace.await_silence(LEASE_SECONDS + 5)
    code, output = workplace.run()
    assert code == 0, output


@pytest.mark.alone
def test_ctrl_c_stops_everything_within_five_seconds(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 2), (20, 20)))
    child = workplace.drive()
    workplace.await_stage("run_load_2")
    time.sleep(1)

    os.killpg(child.pid, signal.SIGINT)
    workplace.await_silence(5)
    output, _ = child.communicate(timeout=5)

    assert child.returncode == 130, output
    assert "Traceback" not in output


@pytest.mark.slow
def test_an_interrupt_of_the_command_alone_stops_everything_too(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 2), (20, 20)))
    child = workplace.drive()
    workplace.await_stage("run_load_1")

    child.send_signal(signal.SIGTERM)
    workplace.await_silence(6)

    assert child.wait(5) == 130


@pytest.mark.slow
def test_a_stop_makes_its_step_invalid_and_does_not_touch_the_next(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 4), (20, 3)))
    child = workplace.drive()
    until(lambda: workplace.sent() >= 10, 200)

    os.killpg(child.pid, signal.SIGSTOP)
    time.sleep(5)
    os.killpg(child.pid, signal.SIGCONT)
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    verdicts = read_json(workplace.results / "verdicts.json", "verdicts")
    assert {row["step"]: row["verdict"] for row in verdicts["slos"]}[1] == "INVALID"
    log = pd.read_parquet(workplace.results / "cells" / workplace.cells()[0] / "requests.parquet")
    late = (log.sent_at - log.planned_at).groupby(log.step).max()
    assert late[1] > 2 > 10 * late[2]
    stopped, clean = (step["client"]["suspended_seconds"] for step in workplace.steps())
    assert stopped > 2
    assert clean == 0


@pytest.mark.slow
def test_the_driver_rests_while_cells_wait_for_their_lane(workplace: Workplace) -> None:
    waiting = [deployment(name) for name in ("first", "second", "third")]
    workplace.write(deployments=waiting, load=ladder((10, 1), (20, 20)))
    child = workplace.drive()
    workplace.await_stage("run_load_2")
    (driver,) = workplace.running("snakemake", "--configfile")

    before = driver.cpu_times()
    time.sleep(8)
    after = driver.cpu_times()
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=10)

    used = after.user + after.system - before.user - before.system
    assert used / 8 < 0.005  # of a core; Snakemake's own rate limit took 0.02 and growing
