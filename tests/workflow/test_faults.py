"""What may happen to a campaign, and what must come of it."""

from __future__ import annotations

import html
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from escalade.files import read_json, sha256_of
from workplace import Workplace, deployment, ladder, until

if TYPE_CHECKING:
    from pathlib import Path

    import psutil

pytestmark = pytest.mark.timeout(600)
LONG = ladder((10, 3), (20, 6))
LEASE_SECONDS = 15.0


def running(place: Workplace, *words: str) -> list[psutil.Process]:
    """Find the processes of a workplace whose command line holds all the words."""
    return [p for p in place.processes() if all(word in " ".join(p.cmdline()) for word in words)]


def page_of(place: Workplace) -> str:
    """Give the report, whose author escapes quotes as numbers."""
    text = (place.results / "report.html").read_text()
    return text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


def test_a_service_that_never_becomes_ready_fails_its_cell_and_no_other(
    workplace: Workplace,
) -> None:
    broken = {**deployment("broken", never_ready=True), "ready_timeout_seconds": 1.5}
    workplace.write(deployments=[broken, deployment("good")], load=ladder((10, 2)))

    code, output = workplace.run()

    first, second = workplace.cells()
    failed, good = workplace.cell(first), workplace.cell(second)
    assert (failed["deployment"], failed["outcome"]) == ("broken", "failed")
    assert good["outcome"] == "finished"
    assert [step["outcome"] for step in workplace.steps(first)] == ["not_run"]
    assert code == 3, output
    assert failed["cause"] in output
    assert html.escape(failed["cause"]) in page_of(workplace)
    assert workplace.processes() == []


@pytest.mark.slow
def test_retrying_measures_only_what_failed(workplace: Workplace) -> None:
    broken = {**deployment("broken", never_ready=True), "ready_timeout_seconds": 1.5}
    workplace.write(deployments=[broken, deployment("good")], load=ladder((10, 2)))
    workplace.run()
    first, second = workplace.cells()
    kept = sha256_of(workplace.results / "cells" / second / "requests.parquet")
    repaired = {**broken, "ready_timeout_seconds": 1.0}
    workplace.write(deployments=[repaired, deployment("good")], load=ladder((10, 2)))
    code, _ = workplace.run("--retry-failed")
    assert code == 3
    assert workplace.cell(first)["attempt"] == 2
    assert sha256_of(workplace.results / "cells" / second / "requests.parquet") == kept


def test_a_service_that_dies_in_a_step_is_a_result_with_cause_and_log(
    workplace: Workplace,
) -> None:
    workplace.write(
        deployments=[deployment("mortal", die_after_requests=30)],
        load=ladder((10, 2), (20, 3), (30, 2)),
    )

    code, output = workplace.run()

    assert code == 3, output
    assert [step["outcome"] for step in workplace.steps()] == [
        "measured",
        "service_failed",
        "not_run",
    ]
    cell = workplace.cell()
    assert cell["outcome"] == "failed"
    assert "exited with code" in cell["cause"] or "killed" in cell["cause"]
    assert "mortal" in (workplace.results / "report.html").read_text()


@pytest.mark.slow
def test_a_failing_cell_has_its_attempts_and_keeps_their_evidence(workplace: Workplace) -> None:
    broken = {**deployment("broken", never_ready=True), "ready_timeout_seconds": 1.0}
    workplace.write(deployments=[broken], load=ladder((10, 1)), execution={"attempts": 2})

    code, output = workplace.run()

    assert code == 3, output
    cell = workplace.cells()[0]
    assert workplace.cell(cell)["attempt"] == 2
    evidence = workplace.results / "cells" / cell / "attempts" / "1"
    assert read_json(evidence / "cell.json", "cell")["attempt"] == 1
    assert (evidence / "logs" / "service.log").exists()


def test_a_prometheus_that_dies_is_told_and_leaves_nothing(workplace: Workplace) -> None:
    workplace.write(load=LONG)
    child = workplace.start("run", str(workplace.config))
    workplace.await_stage("run_load_1")
    time.sleep(1.5)

    (prometheus,) = running(workplace, "--config.file")
    prometheus.kill()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 3, output
    assert "Prometheus was killed by SIGKILL" in output
    assert "Traceback" not in output
    assert workplace.processes() == []
    assert workplace.cells() == []


def test_after_a_kill_nothing_runs_and_finished_cells_are_kept(workplace: Workplace) -> None:
    workplace.write(
        deployments=[deployment("first"), deployment("second")], load=ladder((10, 2), (20, 4))
    )
    child = workplace.start("run", str(workplace.config))
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
    child = workplace.start("run", str(workplace.config))
    workplace.await_stage("run_load_2")
    time.sleep(1)

    for process in running(workplace, victim):
        process.kill()
    child.communicate(timeout=200)

    workplace.await_silence(LEASE_SECONDS + 5)
    code, output = workplace.run()
    assert code == 0, output


def test_ctrl_c_stops_everything_within_five_seconds(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 2), (20, 20)))
    child = workplace.start("run", str(workplace.config))
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
    child = workplace.start("run", str(workplace.config))
    workplace.await_stage("run_load_1")

    child.send_signal(signal.SIGTERM)
    workplace.await_silence(6)

    assert child.wait(5) == 130


@pytest.mark.slow
def test_a_stop_makes_the_step_invalid_and_the_next_one_is_fine(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 4), (20, 3)))
    child = workplace.start("run", str(workplace.config))
    workplace.await_stage("run_load_1")
    time.sleep(2.5)

    os.killpg(child.pid, signal.SIGSTOP)
    time.sleep(5)
    os.killpg(child.pid, signal.SIGCONT)
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    verdicts = read_json(workplace.results / "verdicts.json", "verdicts")
    judged = {row["step"]: row["verdict"] for row in verdicts["slos"]}
    assert judged[1] == "INVALID"
    assert judged[2] != "INVALID"


@pytest.mark.slow
def test_a_second_driver_of_the_same_campaign_is_refused(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 2), (20, 5)))
    first = workplace.start("run", str(workplace.config))
    workplace.await_stage("start_prometheus")

    code, output = workplace.run()

    assert code == 3
    assert "is being driven by" in output
    assert "Traceback" not in output
    first_output, _ = first.communicate(timeout=200)
    assert first.returncode == 0, first_output


@pytest.mark.slow
def test_snakemake_beside_a_running_campaign_does_it_no_harm(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 2), (20, 6)))
    child = workplace.start("run", str(workplace.config))
    workplace.await_stage("run_load_1")

    for arguments in (("-n",), ("--lint",), ("--rulegraph",), ("--unlock",)):
        assert workplace.snakemake(*arguments).returncode == 0

    output, _ = child.communicate(timeout=200)
    assert child.returncode == 0, output


@pytest.mark.slow
def test_two_campaigns_run_side_by_side(workplace: Workplace) -> None:
    other = Workplace(workplace.folder, campaign="other")
    for place in (workplace, other):
        place.write(load=ladder((10, 3)))

    children = [place.start("run", str(place.config)) for place in (workplace, other)]

    for child in children:
        output, _ = child.communicate(timeout=200)
        assert child.returncode == 0, output
    assert len(workplace.cells()) == len(other.cells()) == 1


@pytest.mark.slow
def test_snakemake_itself_runs_the_campaign(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 1)))

    answer = workplace.snakemake()

    assert answer.returncode == 0, answer.stderr
    assert (workplace.results / "report.html").exists()
    assert "step 1/1 at 10 requests/s" in answer.stderr
    assert workplace.processes() == []


def test_a_full_disk_is_told_before_anything_starts(workplace: Workplace, tmp_path: Path) -> None:
    workplace.write(load=ladder((1e6, 3e5)))  # 3e11 requests: no disk holds their log

    code, output = workplace.run()

    assert code == 3
    assert "MB left" in output
    assert workplace.processes() == []
    assert not list(tmp_path.glob("results/*/cells/*"))
