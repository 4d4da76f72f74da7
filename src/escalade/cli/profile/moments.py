"""Times as they are given on the command line."""

from __future__ import annotations

from datetime import datetime

from escalade.errors import InputError


def moment(option: str, text: str | None) -> float | None:
    """Read an ISO time into Unix seconds.

    Raises
    ------
    InputError
        When it is none.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{option} {text!r}: expected an ISO time, as in 2026-05-04T14:30:00+02:00 (without a "
            "zone it is local)."
        ) from None
    return found.timestamp()
