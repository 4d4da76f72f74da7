"""Gates on the instrument in a closed loop, beside those that every load has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.gates.gate import Gate, at_most, passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.analysis.gates.gate import Found

MAX_TURNAROUND = 0.05


def turnaround(found: Found) -> Gate:
    """Check that a closed loop's time was the service's: at most 5 % of it passed in the client."""
    value = found.value("turnaround_ratio")
    detail = "no request was sent in the window"
    if value is not None:
        detail = (
            f"{100 * value:.2g} % of the time of a request passed in the client, from the end of "
            "the one before to the send; 5 % may: give the client cores of its own"
        )
    outcome = at_most(value, MAX_TURNAROUND)
    return Gate("turnaround", outcome, detail, value, MAX_TURNAROUND, "ratio", invalidates=True)


def enough_requests(found: Found) -> Gate:
    """Check that a closed loop did not use up the requests that were drawn for it."""
    step = found.step
    at = step.outcome.get("used_up_at")
    short = 0.0 if at is None else max(0.0, step.window.end - float(at))
    detail = "there were requests until the window's end"
    if short > 0:
        detail = (
            f"the requests that were drawn beforehand were used up {short:.3g} s before the "
            f"window's end, after {len(step.log)}: raise max_requests of the step"
        )
    outcome = passed(short == 0)
    return Gate("enough_requests", outcome, detail, short, 0.0, "s", invalidates=True)


LOOP: tuple[Callable[[Found], Gate], ...] = (turnaround, enough_requests)
