"""Which keys of a configuration somebody chose, and how the page marks them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from campaigns import configuration
from escalade.campaign.configuration import parse_campaign
from escalade.campaign.defaults import chosen
from escalade.report.sections.origin import origin
from unit.report import campaign as made_up

if TYPE_CHECKING:
    from typing import Any


def keys(**changes: Any) -> set[str]:
    return set(chosen(parse_campaign(configuration(**changes), "small.yaml")))


def test_what_has_no_default_is_chosen_and_what_is_left_out_is_not() -> None:
    found = keys()

    assert {"campaign", "deployments/0/name", "deployments/0/recipe"} <= found
    assert "load/ladder/0/target_qps" in found
    assert not {"seed", "repetitions", "load/arrivals", "execution/attempts"} & found


def test_a_key_at_its_default_is_not_chosen_though_it_is_written_out() -> None:
    assert keys(seed=1, repetitions=1) == keys()
    assert keys(seed=2) - keys() == {"seed"}
    assert keys(execution={"attempts": 3}) - keys() == {"execution/attempts"}


def test_parameters_of_a_recipe_are_named_one_by_one() -> None:
    deployment = {"name": "demo", "recipe": "truth_server", "parameters": {"slots": 2}}
    assert "deployments/0/parameters/slots" in keys(deployments=[deployment])


def test_the_page_marks_the_lines_of_chosen_keys_alone() -> None:
    campaign = parse_campaign(configuration(seed=7), "small.yaml")
    data = replace(
        made_up.report_data(rates=(1.0,)),
        campaign=campaign.model_dump(mode="json"),
        chosen=chosen(campaign),
    )

    lines = {line.text.strip(): line.chosen for line in origin(data).configuration}

    assert lines["seed: 7"]
    assert lines["- name: demo"]
    assert lines["- target_qps: 3.0"]
    assert not lines["repetitions: 1"]
    assert not lines["attempts: 2"]


def test_a_configuration_that_can_t_be_read_is_shown_unmarked_and_says_so() -> None:
    ran = origin(replace(made_up.report_data(rates=(1.0,)), chosen=None))

    assert not any(line.chosen for line in ran.configuration)
    assert "is not known" in ran.chosen
