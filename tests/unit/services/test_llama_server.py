"""The llama.cpp server of the wheel: what can't work is told in one line, before the model loads."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GONE = "No such file or directory"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """Give a file that begins like a model."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    return path


def refused(model: Path, *options: str, port: int = 1) -> tuple[int, list[str]]:
    argv = [sys.executable, "-m", "escalade.services.llama_server", "--model", str(model)]
    done = subprocess.run(
        [*argv, "--port", str(port), *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


def test_a_missing_model_file_is_told_in_one_line(tmp_path: Path) -> None:
    code, lines = refused(tmp_path / "gone.gguf")

    assert code == 2
    assert lines == [f"llama_server: error: model file {tmp_path}/gone.gguf can't be read: {GONE}"]


def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    code, lines = refused(tmp_path / "page.gguf")

    assert code == 2
    assert len(lines) == 1
    assert "is no GGUF file: it begins with b'<htm'" in lines[0]


def test_a_taken_port_is_told_in_one_line(gguf: Path, taken: int) -> None:
    code, lines = refused(gguf, port=taken)

    assert code == 2
    assert lines == [
        f"llama_server: error: can't listen on 127.0.0.1:{taken}: Address already in use"
    ]


@pytest.mark.parametrize("option", [("--slots", "0"), ("--port", "65536"), ("--threads", "two")])
def test_an_option_out_of_bounds_is_refused(gguf: Path, option: tuple[str, str]) -> None:
    code, lines = refused(gguf, *option)

    assert code == 2
    assert f"error: argument {option[0]}: " in lines[-1]


def test_a_damaged_model_ends_the_process_with_a_line_of_ours(gguf: Path) -> None:
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    code, lines = refused(gguf, port=free)

    assert code == 3
    assert any(line.startswith("llama_server: error: llama.cpp did not start") for line in lines)
    assert time.monotonic() - start < 20
