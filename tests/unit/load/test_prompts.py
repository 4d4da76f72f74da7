"""Prompts that a user gives: read, taken in a seeded order, and refused line by line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InputError
from escalade.load.payloads import Payloads, Prefix, prompt
from escalade.load.prompts import read_prompts
from escalade.load.schedule import STEPS_KEY, StepPlan, draw_schedule

if TYPE_CHECKING:
    from pathlib import Path

LINES = [
    {"prompt": "What is a ladder?"},
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]},
    {"prompt": "Count to three.", "output_tokens": 3},
]
PLAN = StepPlan(1, 7.0, 0.0, 1.0, "poisson", 32, 16)


@dataclass
class Request:
    payload_id: int
    input_tokens: int = 20
    turn: int = 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write three prompts."""
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in LINES) + "\n\n")
    return path


def test_prompts_are_read_with_their_roles_and_lengths(file: Path) -> None:
    prompts = read_prompts(file)

    assert len(prompts) == 3
    assert prompts.of(0) == [{"role": "user", "content": "What is a ladder?"}]
    assert prompts.of(4) == LINES[1]["messages"]
    assert prompts.text(1) == "Be brief.\n\nWhy?"
    assert prompts.output_tokens == (None, None, 3)


def test_each_prompt_is_taken_once_before_one_is_taken_again(file: Path) -> None:
    frame = draw_schedule([PLAN], seed=5)
    given = read_prompts(file).assigned(frame, seed=5, keep=False)

    taken = given.payload_id.tolist()
    assert sorted(taken[:3]) == sorted(taken[3:6]) == [0, 1, 2]
    assert given.attrs[STEPS_KEY] == frame.attrs[STEPS_KEY]
    assert given.offset_seconds.tolist() == frame.offset_seconds.tolist()
    for row in given.itertuples():
        assert row.output_tokens == (3 if row.payload_id == 2 else 16)
        assert row.input_tokens == [4, 3, 3][row.payload_id]
    assert read_prompts(file).assigned(frame, seed=5, keep=False).equals(given)


def test_payloads_of_a_trace_stay_as_they_are(file: Path) -> None:
    frame = draw_schedule([PLAN], seed=5).assign(payload_id=[9, 9, 1, 1, 5, 4, 3])
    given = read_prompts(file).assigned(frame, seed=5, keep=True)

    assert given.payload_id.tolist() == [0, 0, 1, 1, 2, 1, 0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ('{"prompt": "a"}\n{', "line 2 is no JSON"),
        ('["a"]', "line 1: expected an object with one of"),
        ('{"question": "a"}', "line 1: expected an object with one of"),
        ('{"prompt": "a", "messages": []}', "line 1: expected an object with one of"),
        ('{"prompt": "  "}', "expected a text"),
        ('{"prompt": 7}', "expected a text"),
        ('{"messages": []}', "expected messages"),
        ('{"messages": [{"role": "user"}]}', "expected messages"),
        ('{"prompt": "a", "output_tokens": 0}', "output_tokens is 0"),
        ('{"prompt": "a", "output_tokens": "9"}', "output_tokens is '9'"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)

    with pytest.raises(InputError, match=said):
        read_prompts(path)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_prompts(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="can't be read"):
        read_prompts(tmp_path / "bytes.jsonl")


def test_made_prompts_are_those_of_the_seed() -> None:
    request: Any = Request(payload_id=4)

    assert Payloads(3).text(request) == prompt(3, 4, 20)
    assert Payloads(3).messages(request) == [{"role": "user", "content": prompt(3, 4, 20)}]


def test_a_shared_beginning_comes_before_the_prompts_of_its_group() -> None:
    payloads = Payloads(3, prefix=Prefix(tokens=50, groups=2))
    requests: list[Any] = [Request(payload_id=number) for number in range(4)]
    one, other, third, fourth = (payloads.text(request) for request in requests)

    beginning = Prefix(50, 2).text(3, 0)
    assert one.startswith(beginning)
    assert third.startswith(beginning)
    assert len(beginning.split()) > 40
    assert not other.startswith(beginning)
    assert fourth.startswith(Prefix(50, 2).text(3, 1))
    assert one.removeprefix(beginning).strip() == prompt(3, 0, 20)


def test_given_prompts_get_the_shared_beginning_in_their_first_message(file: Path) -> None:
    payloads = Payloads(3, read_prompts(file), Prefix(tokens=10, groups=1))
    request: Any = Request(payload_id=1)
    system, user = payloads.messages(request)

    assert system["role"] == "system"
    assert system["content"] == f"{Prefix(10, 1).text(3, 1)} Be brief."
    assert user == LINES[1]["messages"][1]  # type: ignore[index]
