"""Parameters: what a deployment may set, and what it gets when it sets nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from escalade.errors import InputError
from escalade.services.parameters import Parameter, check_given, settle

SLOTS = Parameter(type="integer", default=4, minimum=1, maximum=8, description="Slots.")
THREADS = Parameter(type="integer", default_from="service_cpus", description="Threads.")
ALPHA = Parameter(type="number", minimum=0.5, description="Alpha.")
COLOUR = Parameter(type="string", default="red", choices=("red", "blue"), description="Colour.")
QUIET = Parameter(type="boolean", description="Say nothing.")
KEY = Parameter(type="string", required=True, description="Key.")
KNOWN = {"slots": SLOTS, "threads": THREADS, "alpha": ALPHA, "colour": COLOUR, "quiet": QUIET}


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        (SLOTS, [1, 8], [0, 9, 4.0, "4", True, None]),
        (ALPHA, [0.5, 1, 1e9], [0.4, math.nan, math.inf, "1", False]),
        (COLOUR, ["red", "blue"], ["green", "", 1]),
        (QUIET, [True, False], [0, 1, "true"]),
        (KEY, ["", "x"], [1, None]),
    ],
)
def test_only_values_of_the_type_and_within_the_bounds_are_accepted(
    parameter: Parameter, accepted: list[object], refused: list[object]
) -> None:
    assert [value for value in accepted if not parameter.accepts(value)] == []
    assert [value for value in refused if parameter.accepts(value)] == []


@given(st.integers())
def test_bounds_belong_to_the_range(value: int) -> None:
    assert SLOTS.accepts(value) == (1 <= value <= 8)


def test_a_wrong_value_is_answered_with_what_was_expected() -> None:
    with pytest.raises(InputError) as caught:
        check_given(KNOWN, {"slots": "4"}, "config.yaml: deployment 'a'")

    assert str(caught.value) == (
        "config.yaml: deployment 'a': parameter slots is '4'; expected a whole number, "
        "at least 1 and at most 8 (Slots)."
    )


def test_an_unknown_parameter_is_answered_with_all_valid_ones_and_their_defaults() -> None:
    with pytest.raises(InputError) as caught:
        check_given(KNOWN, {"slot": 4}, "config.yaml")

    said = str(caught.value)
    assert "there is no parameter 'slot'. Did you mean 'slots'?" in said
    assert "slots: a whole number, at least 1 and at most 8, default 4. Slots." in said
    assert "threads: a whole number, default: the number of the service's CPUs." in said
    assert "alpha: a number, at least 0.5, not set by default." in said
    assert "colour: 'red' or 'blue', default 'red'." in said


def test_a_recipe_without_parameters_says_so() -> None:
    with pytest.raises(InputError, match="The recipe takes none"):
        check_given({}, {"slots": 1}, "config.yaml")


def test_a_required_parameter_has_to_be_given() -> None:
    with pytest.raises(InputError, match=r"parameter key is missing; expected text \(Key\)"):
        check_given({"key": KEY}, {}, "config.yaml")


def test_what_is_not_given_has_its_default_or_no_value() -> None:
    assert settle(KNOWN, {"alpha": 2}, service_cpus=3) == {
        "slots": 4,
        "threads": 3,
        "alpha": 2,
        "colour": "red",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "integer", "default": 0, "minimum": 1},
        {"type": "integer", "default": "4"},
        {"type": "boolean", "default": 1},
        {"type": "integer", "default": 1, "required": True},
        {"type": "number", "default_from": "service_cpus"},
        {"type": "string", "minimum": 1},
        {"type": "string", "choices": []},
        {"type": "int"},
    ],
)
def test_a_parameter_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Parameter.model_validate({"description": "Wrong.", **wrong})
