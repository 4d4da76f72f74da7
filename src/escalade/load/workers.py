"""What several workers say of one step, joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES = ("started_at", "window_start", "window_end", "drained_at")
"""Unix seconds in the report of a worker; None where it died with its memory."""
_SUMS = ("cpu_seconds", "users", "backlog_max")
_LARGEST = ("wall_seconds", "cores", "cpu_ratio", "steal_ratio", "suspended_seconds")
_LAG = "event_loop_lag_seconds"


def joined(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join the reports of all workers of a step.

    Returns
    -------
    dict
        TIMES: start and window, which all share, and the last end; a window that ends with
        its last request ends with that of all workers. `drained`: whether all
        of them were. `client`: how many they are; sums of CPU time, users and largest
        backlogs (the true largest is no more than that); of all else the worst worker's
        figure. What one of them did not say is None: the others do not speak for it.
    """
    reports = [facts.get("client", {}) for facts in told]
    client: dict[str, Any] = {"workers": len(told)}
    client |= {name: _over(sum, [of.get(name) for of in reports]) for name in _SUMS}
    client |= {name: _over(max, [of.get(name) for of in reports]) for name in _LARGEST}
    lags = [of.get(_LAG) for of in reports]
    known = [lag for lag in lags if lag is not None]
    complete = known and len(known) == len(lags)
    client[_LAG] = {of: max(lag[of] for lag in known) for of in known[0]} if complete else None
    shared = {name: [facts[name] for facts in told if facts[name] is not None] for name in TIMES}
    times = {name: min(values, default=None) for name, values in shared.items()}
    times["window_end"] = max(shared["window_end"], default=None)
    times["drained_at"] = _over(max, [facts["drained_at"] for facts in told])
    used_up = [at for facts in told if (at := facts.get("used_up_at")) is not None]
    early = {"used_up_at": min(used_up)} if used_up else {}
    return {**times, **early, "drained": all(facts["drained"] for facts in told), "client": client}


def _over(of: Any, values: Sequence[float | None]) -> float | None:
    """Reduce values that are all known."""
    known = [value for value in values if value is not None]
    result: float | None = of(known) if len(known) == len(values) else None
    return result
