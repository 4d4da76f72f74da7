"""What a campaign's configuration may and may not say."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.analysis.measured.cell import Slo
from escalade.campaign.configuration import parse_campaign, read_configuration
from escalade.campaign.results import slos_of
from escalade.errors import InputError


def configuration(**changes: Any) -> dict[str, Any]:
    """Give a small valid campaign with some keys changed."""
    base: dict[str, Any] = {
        "campaign": "small",
        "deployments": [{"name": "a", "recipe": "truth_server"}],
        "load": {"ladder": [{"target_qps": 2, "window_seconds": 10}]},
    }
    return {**base, **changes}


def refusal(content: dict[str, Any]) -> str:
    """Give the message with which a configuration is refused."""
    with pytest.raises(InputError) as refused:
        parse_campaign(content, "my.yaml")
    return str(refused.value)


def test_defaults_fill_what_is_left_out() -> None:
    campaign = parse_campaign(configuration(), "my.yaml")

    assert campaign.repetitions == 1
    assert campaign.load.arrivals == "poisson"
    assert campaign.execution.launcher == "local"


def test_an_unknown_key_is_named_with_the_nearest_valid_one() -> None:
    message = refusal(configuration(repetition=3))

    assert "my.yaml" in message
    assert "repetition" in message
    assert "repetitions" in message


def test_a_wrong_type_names_key_and_value() -> None:
    message = refusal(configuration(repetitions="many"))

    assert "repetitions" in message
    assert "'many'" in message


def test_a_negative_rate_is_refused() -> None:
    load = {"ladder": [{"target_qps": -1, "window_seconds": 10}]}

    assert "load.ladder[0].target_qps" in refusal(configuration(load=load))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_rate_that_is_no_number_is_refused(value: float) -> None:
    load = {"ladder": [{"target_qps": value, "window_seconds": 10}]}

    assert "target_qps" in refusal(configuration(load=load))


def test_an_empty_ladder_is_refused() -> None:
    assert "load.ladder" in refusal(configuration(load={"ladder": []}))


def test_a_ladder_has_to_ascend() -> None:
    rungs = [{"target_qps": 4, "window_seconds": 10}, {"target_qps": 2, "window_seconds": 10}]

    assert "ascend" in refusal(configuration(load={"ladder": rungs}))


def test_a_step_without_a_request_is_refused() -> None:
    load = {"ladder": [{"target_qps": 0.01, "window_seconds": 10}]}

    assert "plans no request" in refusal(configuration(load=load))


def test_two_deployments_of_one_name_are_refused() -> None:
    twice = [{"name": "a", "recipe": "x"}, {"name": "a", "recipe": "y"}]

    assert "differ in name" in refusal(configuration(deployments=twice))


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A B", "-x", "x" * 80])
def test_a_name_that_can_not_be_a_folder_is_refused(name: str) -> None:
    assert "campaign" in refusal(configuration(campaign=name))


def test_an_slo_at_a_rate_outside_the_ladder_is_refused() -> None:
    slo = {"name": "s", "metric": "latency_seconds", "limit": 1, "at_qps": 3}

    assert "no step of the ladder" in refusal(configuration(slos=[slo]))


def test_an_error_ratio_has_no_percentile() -> None:
    slo = {"name": "s", "metric": "error_ratio", "stat": "p90", "limit": 0.01}

    assert "error_ratio" in refusal(configuration(slos=[slo]))


def loaded(**load: Any) -> dict[str, Any]:
    """Give a configuration with some keys of its load changed."""
    return configuration(load={"ladder": [{"target_qps": 2, "window_seconds": 10}], **load})


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ({"arrivals": "gamma"}, "needs lines `gamma:`"),
        ({"gamma": {"cv": 2}}, "arrivals is poisson; write arrivals: gamma"),
        ({"arrivals": "gamma", "gamma": {"cv": 0}}, "load.gamma.cv: 0"),
        ({"arrivals": "ramp", "ramp": {"points": [[0, 1], [0.5, 2]]}}, "ramp: the first point"),
        ({"arrivals": "trace"}, "needs lines `trace:`"),
    ],
)
def test_arrivals_and_their_parameters_go_together(load: dict[str, Any], said: str) -> None:
    assert said in refusal(loaded(**load))


@pytest.mark.parametrize(
    "tokens",
    [7, {"uniform": [1, 9]}, {"values": [3, 4], "weights": [1.0, 2.0]}],
)
def test_lengths_are_written_back_as_they_were(tokens: Any) -> None:
    campaign = parse_campaign(configuration(workload={"input_tokens": tokens}), "my.yaml")

    assert campaign.model_dump(mode="json")["workload"]["input_tokens"] == tokens
    assert parse_campaign(campaign.model_dump(mode="json"), "again.yaml") == campaign


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (0, "at least 1"),
        ("many", "a whole number"),
        ({"unifrm": [1, 2]}, "Did you mean 'uniform'?"),
        ({"uniform": [9, 3]}, "[least, most]"),
        ({"fixed": 3, "values": [1]}, "fixed goes with nothing else"),
    ],
)
def test_lengths_that_can_not_be_are_refused(tokens: Any, said: str) -> None:
    assert said in refusal(configuration(workload={"output_tokens": tokens}))


def test_a_missing_file_says_what_to_give(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_configuration(tmp_path / "none.yaml")


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n- 2\n")

    with pytest.raises(InputError, match=r"list\.yaml"):
        read_configuration(path)


def test_broken_yaml_names_the_line(tmp_path: Any) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("campaign: x\nload: [1, 2\n")

    with pytest.raises(InputError, match=r"[Ll]ine"):
        read_configuration(path)


@pytest.mark.parametrize(
    ("slo", "said"),
    [
        ({"metric": "throughput_qps", "limit": 2}, "give the slo 's' at_least, and no limit"),
        ({"metric": "latency_seconds", "at_least": 2}, "give the slo 's' limit, and no at_least"),
        ({"metric": "latency_seconds"}, "give the slo 's' limit"),
        ({"metric": "recall_at_k", "at_least": 1.5}, "recall_at_k is at most 1"),
        ({"metric": "recall_at_k", "at_least": 0.9, "stat": "p90"}, "it goes with mean"),
        ({"metric": "throughput_qps", "at_least": 99}, "are offered"),
        ({"metric": "goodput_qps", "at_least": 1}, "there is none"),
        ({"metric": "latency_seconds", "limit": 1, "of": "x"}, "`of`, which is for goodput_qps"),
    ],
)
def test_an_objective_has_the_one_bound_that_its_metric_wants(
    slo: dict[str, Any], said: str
) -> None:
    assert said in refusal(configuration(slos=[{"name": "s", **slo}]))


def test_a_goodput_names_the_objective_where_several_could_be_meant() -> None:
    timed = [
        {"name": name, "metric": "latency_seconds", "limit": 1, "stat": stat}
        for name, stat in (("fast", "p90"), ("tail", "p99"))
    ]
    good = {"name": "good", "metric": "goodput_qps", "at_least": 1}

    assert "a good one is: fast, tail" in refusal(configuration(slos=[good, *timed]))
    named = parse_campaign(configuration(slos=[{**good, "of": "tail"}, *timed]), "x")
    alone = parse_campaign(configuration(slos=[good, timed[0]]), "x")

    assert slos_of(named)[0] == Slo("good", "goodput_qps", "value", 1.0, at_least=True, of="tail")
    assert slos_of(alone)[0].of == "fast"


def test_objectives_as_they_were_written_before_are_written_the_same() -> None:
    slo = {"name": "s", "metric": "latency_seconds", "stat": "p90", "limit": 1.0, "at_qps": None}

    found = parse_campaign(configuration(slos=[slo]), "x")

    assert found.slos[0].model_dump(mode="json") == slo


@pytest.mark.parametrize(
    ("primary", "said"),
    [
        ([], "at least 1"),
        (["latency_seconds:p90@4"], "the ladder has no step at 4: 1, 2"),
        (["latency_seconds:p90"], "which 2 steps have; say which, as in latency_seconds:p90@1"),
        (["gap_cv@1"], "gap_cv is no KPI of which one direction is better"),
        ([f"latency_seconds:p{n}@1" for n in (50, 90, 95, 99)], "at most 3"),
    ],
)
def test_primary_kpis_are_of_steps_that_exist(primary: list[str], said: str) -> None:
    ladder = [{"target_qps": rate, "window_seconds": 10} for rate in (1, 2)]
    content = configuration(load={"ladder": ladder}, comparison={"primary": primary})

    assert said in refusal(content)


def test_what_is_declared_for_comparisons_is_written_down_and_nothing_by_default() -> None:
    ladder = [{"target_qps": rate, "window_seconds": 10} for rate in (1, 2)]
    content = configuration(load={"ladder": ladder})
    declared = {"primary": ["latency_seconds:p90@2", "slo_capacity_qps"]}

    assert "comparison" not in parse_campaign(content, "my.yaml").model_dump()
    for given in (declared, {**declared, "threshold_percent": 10.0}, {"threshold_percent": 0.0}):
        found = parse_campaign({**content, "comparison": given}, "my.yaml")
        assert found.model_dump(mode="json")["comparison"] == given
    assert "it declares nothing" in refusal({**content, "comparison": {}})
