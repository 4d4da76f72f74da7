"""Calls of functions on other nodes: the answer is what the function said, and nothing else."""

from __future__ import annotations

import subprocess

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.runtime.endpoints import free_port, node_address
from escalade.runtime.slurm import remote


def printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_function_is_called_with_its_arguments() -> None:
    port = remote.answer(printed(*remote.command(free_port, ["127.0.0.1"])))

    assert 0 < port < 65536


def test_its_error_is_raised_here_as_what_it_was() -> None:
    text = printed(*remote.command(node_address, ["no-such-interface"]))

    with pytest.raises(InputError, match="no-such-interface"):
        remote.answer(text)


def test_another_error_is_one_of_the_infrastructure() -> None:
    with pytest.raises(InfrastructureError, match="ValueError: unheard of"):
        remote.answer('escalade-answer:{"error": "ValueError", "message": "unheard of"}')


def test_what_a_site_prints_besides_is_passed_over() -> None:
    text = 'Welcome!\nescalade-answer:{"value": [1, null]}\nmodule loaded\n'

    assert remote.answer(text) == [1, None]


@pytest.mark.parametrize("text", ["", "Welcome!", "escalade-answer:{", "escalade-answer:[]"])
def test_no_answer_is_an_error_with_what_was_said(text: str) -> None:
    with pytest.raises(InfrastructureError, match="gave no answer"):
        remote.answer(text)
