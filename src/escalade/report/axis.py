"""What the steps of a campaign are told apart by: a rate, a number in flight, or of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.measured.levels import CONCURRENCY, RATE, SAMPLES, Level, level_of
from escalade.report import words
from escalade.report.words import NO_BREAK, known

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOSED_METHOD = (
    "Closed loop: a fixed number of requests is in flight, each sent when an earlier one has ended. "
    "Nothing is planned; latency counts from the send. A service that stalls is asked less in that "
    "time, so such latencies hide queueing (Schroeder, Wierman and Harchol-Balter, NSDI 2006): "
    "they are no answer to how fast the service is under load that does not wait, and no capacity "
    "is fitted to them."
)
AT_ONCE_METHOD = (
    "Offline: all samples are sent at once, and the window ends with the last answer. The result "
    "is the number of samples per second, from the first send to the last end; a latency is the "
    "time in the pile and grows with the number of samples. No capacity is fitted."
)
OPEN_METHOD = (
    "Open loop: arrivals are drawn from the seed before the run, and a request is sent at its "
    "planned time whether or not earlier ones have come back. Latency counts from the planned send."
)


@dataclass(frozen=True)
class Axis:
    """How a campaign's steps are named.

    Attributes
    ----------
    name
        Kind of level, as in `escalade.analysis.measured.levels`.
    by
        What figures are drawn against, in a heading.
    label
        Label of that axis.
    column
        Heading of a column with it.
    unit
        What follows a number of it in a list: "at 1, 2 and 4 requests/s".
    method
        How requests were sent, for the reader of the report.
    warning
        What must not be overlooked where they did not leave at planned times: word and text.
    """

    name: str
    by: str
    label: str
    column: str
    unit: str
    method: str
    warning: tuple[str, str] = ("", "")

    @property
    def open(self) -> bool:
        """Whether requests left at planned times."""
        return self.name == RATE


AXES = {
    RATE: Axis(
        RATE,
        "arrival rate",
        "arrival rate (requests/s)",
        "Target (/s)",
        "requests/s",
        OPEN_METHOD,
    ),
    CONCURRENCY: Axis(
        CONCURRENCY,
        "requests in flight (closed loop)",
        "closed loop: requests in flight",
        "In flight",
        "in flight",
        CLOSED_METHOD,
        ("Closed loop", "latency hides queueing"),
    ),
    SAMPLES: Axis(
        SAMPLES,
        "number of samples (offline)",
        "samples sent at once",
        "Samples",
        "samples at once",
        AT_ONCE_METHOD,
        ("Offline", "all samples at once"),
    ),
}


def level(row: Mapping[str, Any]) -> Level:
    """Give the level of an outcome or a verdict; NaN where the row says nothing sensible."""
    names = (RATE, CONCURRENCY, SAMPLES, "samples_per_query")
    numbers = {name: known(row.get(name)) for name in names}
    return level_of({name: value for name, value in numbers.items() if value == value})  # noqa: PLR0124 - NaN


def at(place: Level) -> str:
    """Say where on the ladder: "at 2 requests/s", "with 4 in flight"."""
    number = words.rate(place.value)
    if place.closed:
        queries = f" quer{'y' if place.value == 1 else 'ies'} of {place.together} samples"
        return f"with {number}{queries if place.together > 1 else ''}{NO_BREAK}in flight"
    if place.at_once:
        return f"with {number}{NO_BREAK}samples at once"
    return f"at {number}{NO_BREAK}requests/s"


def amount(place: Level) -> str:
    """Name the load of a step: "2 requests/s", "4 in flight"."""
    return at(place).split(" ", 1)[1]


def short(place: Level) -> str:
    """Name the load of a step where there is little room: "2/s", "4 in flight"."""
    number = words.rate(place.value)
    if place.name == RATE:
        return f"{number}/s"
    return f"{number}{NO_BREAK}{'in flight' if place.closed else 'samples'}"
