"""The readings of a session as its file has them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

BATCH = 50_000
"""Readings that are in memory at a time, about."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of its session.

    Parameters
    ----------
    name
        Of the session.
    tool
        That wrote the file.
    start, end
        Of the session, in Unix seconds; None where the file does not say.
    interval
        Between two readings of a GPU, in seconds; None where the file does not say.
    units
        By column.
    zone
        Of the times: "UTC", or in words.
    notes
        What a reader has to know of such files.
    """

    name: str
    tool: str
    start: float | None
    end: float | None
    interval: float | None
    units: Mapping[str, str]
    zone: str = "UTC"
    notes: tuple[str, ...] = ()

    @property
    def every(self) -> str:
        """Say how often each GPU was read, or nothing."""
        if not self.interval:
            return ""
        short = self.interval < 1
        amount = f"{self.interval * 1000:.6g} ms" if short else f"{self.interval:.6g} s"
        return f"a reading every {amount}"

    @property
    def expected(self) -> int | None:
        """Readings of each GPU that the session has room for."""
        if self.start is None or self.end is None or not self.interval:
            return None
        return max(1, int((self.end - self.start) / self.interval))


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings, one a row; of each GPU in the order of time.

    Parameters
    ----------
    device
        Place in the profile's `devices`, int64.
    tick
        Number of the frame, int64, ascending.
    time
        Unix seconds.
    values
        By column, in the units of the facts; NaN where there is none.
    """

    device: np.ndarray
    tick: np.ndarray
    time: np.ndarray
    values: Mapping[str, np.ndarray]


@dataclass
class Devices:
    """GPUs in the order in which they appeared."""

    names: list[str] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)

    def place(self, name: str) -> int:
        """Give the place of a GPU, a new one where it is new."""
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = len(self.names)
            self.names.append(name)
        return found


class Profile(Protocol):
    """A file of a session that is open."""

    facts: Facts
    devices: Devices
    """Complete when all rows were given."""
    gaps: list[dict[str, Any]]
    """As the file names them; complete when all rows were given."""

    def rows(self) -> Iterator[Rows]:
        """Give all readings, once, with `BATCH` or some more in memory at a time."""
        ...


def node_of(device: str) -> str:
    """Give the node of a GPU that is named `host:index:name`."""
    return device.split(":", 1)[0]


def order_of(text: str) -> list[tuple[int, str]]:
    """Give what to sort names by, so that node2 stands before node10."""
    return [(int(it), "") if it.isdecimal() else (-1, it) for it in re.split(r"(\d+)", text)]


def unix(text: Any, path: Path, what: str) -> float:
    """Give the Unix seconds of an ISO time; one without a zone is taken as UTC.

    Raises
    ------
    InputError
        When it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise InputError(
            f"{path}: {what} {str(text)[:80]!r}: expected a time in ISO 8601."
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
