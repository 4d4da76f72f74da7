"""Command templates: placeholders, optional words, words for every model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from escalade.services.templates import Argument, Words, fill, fill_command, placeholders

WORDS: TypeAdapter[Argument] = TypeAdapter(Words)


def command(*written: object) -> list[Argument]:
    return [WORDS.validate_python(entry) for entry in written]


def test_words_stand_alone_or_in_lists() -> None:
    made = fill_command(command("run", ["--port", "{port}"]), {"port": 80}, [])

    assert made == ("run", "--port", "80")


def test_a_value_with_spaces_stays_one_word() -> None:
    assert fill_command(command("{text}"), {"text": "a b; c"}, []) == ("a b; c",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ()),
        ({"quiet": False}, ()),
        ({"quiet": True}, ("--quiet",)),
        ({"quiet": 0}, ("--quiet",)),
        ({"quiet": ""}, ("--quiet",)),
    ],
)
def test_optional_words_are_left_out_only_when_unset_or_false(
    values: dict[str, bool | int | str], expected: tuple[str, ...]
) -> None:
    template = command({"when": "quiet", "words": ["--quiet"]})

    assert fill_command(template, values, []) == expected


def test_words_are_repeated_for_every_model() -> None:
    template = command({"for_each": "model", "words": ["--model", "{model_path}"]})
    models = [{"model_path": "/a"}, {"model_path": "/b"}]

    assert fill_command(template, {}, models) == ("--model", "/a", "--model", "/b")
    assert fill_command(template, {}, []) == ()


@pytest.mark.parametrize(
    ("template", "names"),
    [("{a}:{b}", ["a", "b"]), ("{{a}}", []), ("", []), ("a=b", [])],
)
def test_placeholders_are_named_in_order(template: str, names: list[str]) -> None:
    assert placeholders(template) == names


@pytest.mark.parametrize(
    "template", ["{", "}", "{a", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}"]
)
def test_nothing_but_names_may_stand_in_braces(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        placeholders(template)


@given(st.text())
def test_a_value_is_put_in_as_it_is(value: str) -> None:
    assert fill("<{value}>", {"value": value}) == f"<{value}>"


def test_truth_values_are_written_small() -> None:
    assert fill("{on}", {"on": True}) == "true"


@pytest.mark.parametrize("written", [[], {"words": []}, 3, {"words": ["a"], "if": "b"}])
def test_anything_else_is_no_part_of_a_command(written: object) -> None:
    with pytest.raises(ValidationError):
        WORDS.validate_python(written)
