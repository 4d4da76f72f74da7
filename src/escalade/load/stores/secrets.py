"""Secrets of a service: read from a file that only this user can read, never stored."""

from __future__ import annotations

from pathlib import Path

from escalade.errors import InputError


def read_secret(file: str) -> str:
    """Read a secret.

    Raises
    ------
    InputError
        When the file can't be read.
    """
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The file with the service's secret, {file}, can't be read: {error}"
        ) from None
