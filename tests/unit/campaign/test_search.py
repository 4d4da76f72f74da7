"""What a campaign may say of a search, and what its plan makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from escalade.analysis.verdicts.trial import judge_trial
from escalade.campaign.configuration import parse_campaign
from escalade.campaign.objectives import judged_slos
from escalade.campaign.run import open_run
from escalade.campaign.search import searched_slos
from escalade.campaign.smoke import reduced
from escalade.cli.main import app
from escalade.errors import InputError
from unit.analysis.builders import GOOD_CLIENT, Request, Step
from unit.analysis.builders import cell as measured

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.campaign.plan import Cell

FAST = {"name": "fast", "metric": "latency_seconds", "stat": "p90", "limit": 0.5}
SMALL = {"start_qps": 10, "confirmation_seconds": 60, "budget": {"seconds": 400, "trials": 12}}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def content(
    search: dict[str, Any] | None = None, load: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    base: dict[str, Any] = {
        "campaign": "small",
        "deployments": [{"name": "a", "recipe": "truth_server"}],
        "load": {"search": SMALL | (search or {}), **(load or {})},
        "slos": [FAST],
    }
    return {**base, **changes}


def refusal(told: dict[str, Any]) -> str:
    with pytest.raises(InputError) as refused:
        parse_campaign(told, "my.yaml")
    return str(refused.value)


def cell(**changes: Any) -> Cell:
    return open_run(content(**changes), []).plan.cells[0]


def test_a_ladder_and_a_search_exclude_each_other() -> None:
    rungs = [{"target_qps": 1, "window_seconds": 10}]

    assert "both are given" in refusal(content(load={"ladder": rungs}))
    assert "neither is given" in refusal(content(load={"search": None}))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (content({"slo": "fats"}), "'fats', which is no objective; expected all or one of fast"),
        (content(slos=[]), "add slos"),
        (content(slos=[{**FAST, "at_qps": 10}]), "leave at_qps out"),
        (content({"budget": {"seconds": 90}}), "less than the first trial (35 s at 10 requests/s"),
        (content({"budget": {"trials": 1}}), "load.search.budget.trials"),
        (content({"highest_qps": 5}), "highest_qps 5 is below start_qps 10"),
        (content({"lowest_qps": 50}), "lowest_qps 50 is above start_qps 10"),
        (
            content(load={"arrivals": "ramp", "ramp": {"points": [[0, 1], [1, 2]]}}),
            "arrivals is ramp",
        ),
        (content({"resolution": 0}), "load.search.resolution"),
        (content({"start_qsp": 3}), "Did you mean 'start_qps'?"),
    ],
)
def test_what_can_not_be_searched_is_refused_in_one_sentence(
    told: dict[str, Any], said: str
) -> None:
    assert said in refusal(told)


def test_a_trial_has_the_requests_that_its_objective_needs() -> None:
    assert cell().search is not None
    assert cell().search.least_requests == 144  # type: ignore[union-attr]
    slow = cell(search={"start_qps": 2})
    assert slow.steps[0].window_seconds == 72  # 144 requests at 2/s


def test_a_plan_says_at_most() -> None:
    planned = cell(load={"calibration_seconds": 0, "drain_timeout_seconds": 10})

    assert planned.step_range == (2, 12)
    assert planned.load_seconds == 400
    assert planned.expected_seconds == pytest.approx(18 + 400 + 12 * 1.05 + 5)
    assert planned.longest_seconds > planned.expected_seconds + 12 * 10 - 5


def test_the_plan_command_shows_the_range(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content()), encoding="utf-8")

    shown = CliRunner().invoke(app, ["plan", str(path)], catch_exceptions=False).output
    told = CliRunner().invoke(app, ["plan", str(path), "--json"], catch_exceptions=False).output

    assert "2–12" in shown
    assert "at most 12 steps" in shown
    assert "search for the rate up to which fast holds" in shown
    assert '"steps_most": 12' in told


def test_the_resolved_configuration_is_itself_a_campaign() -> None:
    campaign = parse_campaign(content(), "my.yaml")

    assert parse_campaign(campaign.model_dump(mode="json"), "again.yaml") == campaign
    assert "ladder" not in campaign.model_dump(mode="json")["load"]


def test_the_objective_of_a_search_defines_its_cells_and_that_of_a_ladder_does_not() -> None:
    stricter = [{**FAST, "limit": 0.25}]
    ladder = {"ladder": [{"target_qps": 1, "window_seconds": 10}]}

    assert cell(slos=stricter).name != cell().name
    named = open_run({**content(), "load": ladder}, []).plan.cells[0].name
    assert open_run({**content(slos=stricter), "load": ladder}, []).plan.cells[0].name == named


def test_a_smoke_run_sends_at_the_start_rate() -> None:
    small = reduced(parse_campaign(content(), "my.yaml"))

    assert small.load.search is None
    assert [step.target_qps for step in small.load.ladder] == [10]


@pytest.mark.parametrize(("latency", "verdict"), [(0.1, "PASS"), (1.0, "FAIL")])
def test_a_trial_is_judged_by_the_objectives_as_they_are_written(
    latency: float, verdict: str
) -> None:
    campaign = parse_campaign(content(), "my.yaml")
    slos = judged_slos(searched_slos(campaign), campaign.slos)
    requests = [Request(planned=0.1 * k + 0.05, latency=latency) for k in range(400)]
    data = measured(Step(requests, seconds=40.0, client=GOOD_CLIENT, target_qps=10.0))
    (outcome,) = data.windows["steps"]
    where = {"cell": "a_rep-1_0", "deployment": "a", "repetition": 1}

    assert judge_trial(where, outcome, data.requests, slos).judged == verdict
