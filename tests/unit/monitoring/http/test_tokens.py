"""Where the token may come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InputError
from escalade.monitoring.http.server import bind, on_loopback, url_of
from escalade.monitoring.http.tokens import VARIABLE, TokenHash, take_token

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "0123456789abcdef-only-for-tests"  # noqa: S105 - opens nothing


def written(folder: Path, text: str = TOKEN + "\n", mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_it_is_taken_out_of_the_environment_which_children_get() -> None:
    environment = {VARIABLE: TOKEN, "HOME": "/"}
    assert take_token(None, environment) == TOKEN
    assert environment == {"HOME": "/"}
    assert take_token(None, environment) is None


def test_a_file_of_ones_own_has_it(tmp_path: Path) -> None:
    assert take_token(written(tmp_path), {}) == TOKEN


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InputError, match=r"can be read by others .*`chmod 600") as raised:
        take_token(written(tmp_path, mode=mode), {})
    assert TOKEN not in str(raised.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: No such file"):
        take_token(tmp_path / "none", {})
    with pytest.raises(InputError, match=r"can't be read|no regular file"):
        take_token(tmp_path, {})
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(InputError, match="no regular file"):
        take_token(tmp_path / "pipe", {})


@pytest.mark.parametrize("text", ["", "short", "with blanks in the middle", "ü" * 20, "x" * 513])
def test_what_is_no_token_is_refused_without_being_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="holds no token: expected 16 to 512") as raised:
        take_token(written(tmp_path, text), {})
    assert not text or text not in str(raised.value)


def test_two_tokens_are_refused_and_neither_is_left_in_the_environment(tmp_path: Path) -> None:
    environment = {VARIABLE: TOKEN}
    with pytest.raises(InputError, match="both given"):
        take_token(written(tmp_path), environment)
    assert environment == {}


def test_only_the_token_fits_its_hash() -> None:
    known = TokenHash(TOKEN)
    assert known.fits(TOKEN)
    for other in ("", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "\udcff" * 16):
        assert not known.fits(other)
    assert TOKEN.encode() not in known._hash


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - to be refused
def test_without_a_token_nothing_listens_beyond_loopback(host: str) -> None:
    with pytest.raises(InputError, match=f"beyond this machine a token is needed.*{VARIABLE}"):
        bind(host, 0, guarded=False)


def test_on_loopback_it_listens_without_one() -> None:
    with bind("localhost", 0, guarded=False) as listening:
        host, port = listening.getsockname()[:2]
        assert on_loopback(host)
        assert url_of(listening).endswith(f":{port}")


def test_a_port_that_is_taken_and_a_host_that_is_none_are_named() -> None:
    with bind("127.0.0.1", 0, guarded=False) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(Exception, match=f"Port {port} of 127.0.0.1 can't be listened at"):
            bind("127.0.0.1", port, guarded=False)
    with pytest.raises(InputError, match="--host"):
        bind("no host", 0, guarded=False)
