"""A service or Prometheus that fails: what it makes of its cell, and of the others."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING

import pytest

from escalade.files import read_json, sha256_of
from workplace import Workplace, deployment, ladder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)


def page_of(place: Workplace) -> str:
    """Give the report, whose author escapes quotes as numbers."""
    text = (place.results / "report.html").read_text()
    return text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_prometheus_that_dies_is_told_and_leaves_nothing(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 6)))
    child = workplace.drive()
    workplace.await_stage("run_load_1")
    time.sleep(1.5)

    (prometheus,) = workplace.running("--config.file")
    prometheus.kill()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 3, output
    assert "Prometheus was killed by SIGKILL" in output
    assert "Traceback" not in output
    assert workplace.processes() == []
    assert workplace.cells() == []


def test_a_full_disk_is_told_before_anything_starts(workplace: Workplace, tmp_path: Path) -> None:
    workplace.write(load=ladder((1e6, 3e5)))  # 3e11 requests: no disk holds their log

    code, output = workplace.run()

    assert code == 3
    assert "MB left" in output
    assert workplace.processes() == []
    assert not list(tmp_path.glob("results/*/cells/*"))
