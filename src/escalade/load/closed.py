"""Loads that the service itself drives: a closed loop, and samples that are sent at once.

In a closed loop a fixed number of queries is in flight: the next one leaves when one has
ended. Nothing is planned, so nothing is late, and a service that stalls is asked less: the
latencies of a closed loop hide queueing (Schroeder, Wierman and Harchol-Balter, NSDI 2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

UNPLANNED = ("closed", "at_once")
"""Kinds of load without a rate."""
_NEEDED = {"closed": ("concurrency", "samples_per_query", "max_requests"), "at_once": ("samples",)}
_TOLD = {"closed": ("concurrency", "samples_per_query"), "at_once": ("samples",)}
_REQUESTS_PER_SECOND = 2_000
"""More than a worker is likely to send."""
_ROWS_MAX = 200_000
"""Rows of a step that are drawn without being asked for."""


def counts_of(arrivals: str, parameters: Mapping[str, Any]) -> dict[str, int]:
    """Give how many requests such a load has in flight; nothing for a load with a rate."""
    return {name: int(parameters[name]) for name in _TOLD.get(arrivals, ())}


def check_counts(arrivals: str, parameters: Mapping[str, Any]) -> None:
    """Refuse impossible parameters.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    for name in _NEEDED[arrivals]:
        if int(parameters[name]) < 1:
            raise ValueError(f"{name} must be 1 or more")


def words_of(arrivals: str, parameters: Mapping[str, Any]) -> str:
    """Say what is offered."""
    if arrivals == "at_once":
        return f"{parameters['samples']} samples at once"
    together = int(parameters["samples_per_query"])
    number = int(parameters["concurrency"])
    queries = f" quer{'y' if number == 1 else 'ies'} of {together} samples"
    return f"closed loop, {number}{queries if together > 1 else ''} in flight"


def rows_for(concurrency: int, samples_per_query: int, seconds: float, workers: int) -> int:
    """Give how many requests of a closed loop are drawn where nobody says it.

    They are enough for workers at their limit over `seconds`, up to 200,000; more has to be
    asked for.
    """
    likely = min(_ROWS_MAX, round(_REQUESTS_PER_SECOND * workers * seconds))
    queries = -(-max(likely, concurrency * samples_per_query) // samples_per_query)
    return queries * samples_per_query
