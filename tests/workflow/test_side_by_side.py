"""Other drivers, other campaigns and plain Snakemake beside a running campaign."""

from __future__ import annotations

import pytest

from workplace import Workplace, ladder

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
def test_a_second_driver_of_the_same_campaign_is_refused(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 2), (20, 5)))
    first = workplace.drive()
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
    child = workplace.drive()
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

    children = [place.drive() for place in (workplace, other)]

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
