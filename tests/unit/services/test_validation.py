"""Messages for what is wrong in a file: where, what, what was expected, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from escalade.errors import InputError
from escalade.services.validation import (
    Section,
    explain,
    key_path,
    nearest,
    read_yaml,
    validated,
)

if TYPE_CHECKING:
    from pathlib import Path


class Rung(Section):
    rate_qps: Annotated[float, Field(gt=0)]
    window_seconds: float
    """Length of the window, in s."""

    @model_validator(mode="after")
    def _long_enough(self) -> Rung:
        if self.rate_qps * self.window_seconds < 1:
            raise ValueError("plans no request")
        return self


class Climb(Section):
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "demo"
    arrivals: Literal["poisson", "constant"] = "poisson"
    ladder: Annotated[tuple[Rung, ...], Field(min_length=1)]
    extras: dict[str, Rung] = Field(default_factory=dict)
    best: Rung | None = None


RUNG = {"rate_qps": 1, "window_seconds": 10}


def message(content: object) -> str:
    with pytest.raises(InputError) as caught:
        validated(Climb, content, "climb.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"lader": [RUNG], "ladder": [RUNG]}, "lader: unknown key. Did you mean 'ladder'?"),
        (
            {"ladder": [RUNG, RUNG | {"rate_qp": 2}]},
            "ladder[1].rate_qp: unknown key. Did you mean 'rate_qps'? Valid: rate_qps, window_seconds.",
        ),
        (
            {"ladder": [RUNG], "extras": {"last": RUNG | {"window": 1}}},
            "extras.last.window: unknown key. Did you mean 'window_seconds'?",
        ),
        (
            {"ladder": [RUNG], "best": RUNG | {"zzz": 1}},
            "best.zzz: unknown key. Valid: rate_qps, window_seconds.",
        ),
        (
            {"ladder": [RUNG | {"rate_qps": -3}]},
            "ladder[0].rate_qps: -3 is not accepted; expected more than 0.0.",
        ),
        (
            {"ladder": [{"rate_qps": 1}]},
            "ladder[0].window_seconds: is missing. Expected: Length of the window, in s.",
        ),
        ({"ladder": []}, "ladder: [] is not accepted; expected at least 1 of them."),
        ({"ladder": "all"}, "ladder: 'all' is not accepted; expected a list."),
        (
            {"ladder": [RUNG], "arrivals": "poison"},
            "arrivals: 'poison' is not accepted; expected 'poisson' or 'constant'.",
        ),
        (
            {"ladder": [RUNG], "name": "Demo"},
            "name: 'Demo' is not accepted; expected text that matches ^[a-z]+$.",
        ),
        (
            {"ladder": [RUNG | {"window_seconds": "long"}]},
            "ladder[0].window_seconds: 'long' is not accepted; expected a number.",
        ),
        ({"ladder": [RUNG | {"window_seconds": 0.1}]}, "ladder[0]: plans no request"),
        (["ladder"], "the whole: ['ladder'] is not accepted; expected lines `key: value`."),
    ],
)
def test_a_problem_is_told_with_key_value_and_expectation(content: object, expected: str) -> None:
    said = message(content)

    assert said.startswith("climb.yaml can't be used, 1 problem:\n")
    assert expected in said
    assert said.endswith("\nCorrect it and start again.")


def test_all_problems_are_told_at_once() -> None:
    said = message({"ladder": [RUNG | {"rate_qps": 0}], "arrivals": "x", "nme": "y"})

    assert "3 problems" in said
    assert len(said.splitlines()) == 5


def test_a_message_fits_on_one_screen() -> None:
    said = message({"ladder": [RUNG | {"rate_qps": -1, "note": "n" * 500}] * 40})

    assert "80 problems" in said
    assert "… and 68 more." in said
    assert len(said.splitlines()) <= 16
    assert max(map(len, said.splitlines())) < 140


def test_a_refused_entry_does_not_also_make_its_list_too_short() -> None:
    assert "1 problem:" in message({"ladder": [{"rate_qps": 1}]})


def test_the_model_is_found_by_the_name_in_the_error() -> None:
    with pytest.raises(ValidationError) as caught:
        Climb.model_validate({"lader": [], "ladder": [RUNG]})

    assert "Did you mean 'ladder'?" in explain(caught.value, "climb.yaml")


def test_what_is_right_comes_back_as_a_model() -> None:
    assert validated(Climb, {"ladder": [RUNG]}, "climb.yaml").ladder[0].rate_qps == 1.0


def test_a_key_path_reads_like_the_file() -> None:
    assert key_path(("load", "ladder", 2, "rate_qps")) == "load.ladder[2].rate_qps"


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_a_name_is_only_suggested_when_it_is_valid(name: str, valid: list[str]) -> None:
    hint, _, names = nearest(name, valid).partition("Valid:")

    assert names == f" {', '.join(valid)}."
    assert not hint or any(repr(entry) in hint for entry in valid)


def test_where_nothing_is_valid_nothing_is_suggested() -> None:
    assert nearest("x", []) == "There is none to choose from."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "Line 2, column 11: the key 'c' stands twice."),
        ("a: [1\n", "Line 2, column 1: expected ',' or ']'"),
        ("- 1\n", "holds [1]; expected a mapping"),
        ("", "holds None; expected a mapping"),
    ],
)
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)

    with pytest.raises(InputError) as caught:
        read_yaml(path, "recipe")

    assert str(caught.value).startswith(f"recipe: {path} ")
    assert expected in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InputError, match="can't be read"):
        read_yaml(path, "recipe")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recipe: .*nothing\.yaml does not exist"):
        read_yaml(tmp_path / "nothing.yaml", "recipe")


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, y: 4}\n")

    assert read_yaml(path, "recipe")["c"] == {"x": 3, "y": 4}
