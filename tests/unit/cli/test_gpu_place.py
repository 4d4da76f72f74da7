"""`escalade gpu place`: what people write, what they read, and what is refused."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from escalade.cli.gpu.sizes import cards_of, size_of
from escalade.cli.main import app
from escalade.errors import InputError

RUNNER = CliRunner()
THREE = ["qwen_32b=16GB", "mistral_7b=4GB", "llama3_8b=5GB"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24", 24 * 10**9),
        ("16GB", 16 * 10**9),
        ("80GiB", 80 * 2**30),
        ("640 MB", 640 * 10**6),
        ("0.5gb", 5 * 10**8),
    ],
)
def test_a_size_is_in_gigabytes_unless_it_says_otherwise(text: str, size: int) -> None:
    assert size_of(text, "here") == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1TBB", "1e3", "16G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"here: .* is no size; expected one as in 24"):
        size_of(text, "here")


def test_gpus_may_be_counted() -> None:
    found = cards_of("2x80GB, 24GB")

    assert [(card.name, card.total_bytes) for card in found] == [
        ("0", 80 * 10**9),
        ("1", 80 * 10**9),
        ("2", 24 * 10**9),
    ]


def test_two_gpus_take_the_documents_three_models() -> None:
    done = RUNNER.invoke(app, ["gpu", "place", *THREE, "--gpus", "24GB,24GB", "--json"])

    told = json.loads(done.output)
    assert done.exit_code == 0
    assert told["on"] == {"llama3_8b": ["1"], "mistral_7b": ["1"], "qwen_32b": ["0"]}
    assert told["optimal"]


def test_what_is_offloaded_is_no_failure_and_what_fits_nowhere_is() -> None:
    offloaded = RUNNER.invoke(app, ["gpu", "place", *THREE, "--gpus", "16GB"])
    nowhere = RUNNER.invoke(app, ["gpu", "place", *THREE, "--gpus", "16GB", "--host", "8GB"])

    assert (offloaded.exit_code, nowhere.exit_code) == (0, 1)
    assert "CPU (offloaded)" in offloaded.output
    assert "nowhere: the host is too small" in nowhere.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a=1GB", "a=2GB"], "model a: is there twice"),
        (["tinyllama"], "there is no model 'tinyllama'"),
        (["a=1GB", "--gpus", "fourx80GB"], "expected a count before x"),
        (["a=1GB", "--headroom", "1"], "headroom: expected a share from 0 to below 1"),
    ],
)
def test_bad_input_is_one_message(arguments: list[str], expected: str) -> None:
    if "--gpus" not in arguments:
        arguments = [*arguments, "--gpus", "24GB"]

    done = RUNNER.invoke(app, ["gpu", "place", *arguments])

    assert isinstance(done.exception, InputError)
    assert expected in str(done.exception)
