"""The token that requests have to carry: where it is read from, and how it is compared."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from typing import TYPE_CHECKING

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

VARIABLE = "ESCALADE_MONITOR_TOKEN"
"""Environment variable that may hold it."""
_TOKEN = re.compile(r"[!-~]{16,512}")
_MAKE = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


class TokenHash:
    """What the server keeps of its token.

    Parameters
    ----------
    token
        At least 16 printable signs, without blanks.

    Raises
    ------
    InputError
        When it is too short or has other signs; the token is not in the message.
    """

    def __init__(self, token: str) -> None:
        self._hash = _hash(checked(token, "The token"))

    def fits(self, given: str) -> bool:
        """Compare, in a time that tells nothing of where the two differ."""
        return hmac.compare_digest(self._hash, _hash(given))


def take_token(
    file: Path | None, environment: MutableMapping[str, str] | None = None
) -> str | None:
    """Read the token, and take it out of the environment, which every child would get.

    Parameters
    ----------
    file
        A file that holds it, readable by its owner only; None for the environment variable.
    environment
        By default that of this process.

    Returns
    -------
    str or None
        None where there is none.

    Raises
    ------
    InputError
        When the file can't be read or may be read by others, both are given, or it is no token.
    """
    environment = os.environ if environment is None else environment
    found = environment.pop(VARIABLE, None)
    if file is not None and found is not None:
        raise InputError(f"{VARIABLE} and a token file are both given: leave one out.")
    if file is not None:
        return read_token(file)
    return None if found is None else checked(found, VARIABLE)


def read_token(file: Path) -> str:
    """Read a token from a file.

    Raises
    ------
    InputError
        When it can't be read, belongs to somebody else, may be read by others, or holds no token.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, encoding="utf-8") as opened:
            facts = os.fstat(opened.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise InputError(f"{file} is no regular file: expected one with the token.")
            if facts.st_mode & 0o077 or facts.st_uid not in {0, os.geteuid()}:
                raise InputError(
                    f"{file} can be read by others (mode {facts.st_mode & 0o777:o}): expected a "
                    f"file of your own with mode 600. `chmod 600 {file}`, and use a new token."
                )
            text = opened.read(4096)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"The token file {file} can't be read: {said}.") from None
    return checked(text.strip(), str(file))


def checked(token: str, source: str) -> str:
    """Insist on a token that can be sent and can't be guessed soon.

    Raises
    ------
    InputError
        Without the token in the message.
    """
    if not _TOKEN.fullmatch(token):
        raise InputError(
            f"{source} holds no token: expected 16 to 512 printable ASCII signs without blanks. "
            f"`{_MAKE}` makes one."
        )
    return token


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
