"""Lets requests leave at their planned times, to about 0.1 ms.

Making a request costs a client half a millisecond, and waking an idle core may cost as
much again. So an arrival is handed to its user a little early: the user makes the
request and is held at the last call before it leaves, `Arrival.sending`, until its time
has come. Nothing leaves early: a client that was not seen to pass that call gets its
arrivals at their planned times, no sooner.
"""

from __future__ import annotations

import gc
from collections import deque
from math import inf, isnan
from typing import TYPE_CHECKING

from escalade.load.clock import Timer, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalade.load.arrival import Arrival

LEAD_SECONDS = 0.002  # from the hand-out to the planned send
_AHEAD_SECONDS = 0.001  # a hand-out so soon is made at once, which saves a wake-up
_MAKING_SECONDS = 0.0006  # a hand-out so shortly before another request's send comes after it
_AWAKE_SECONDS = 0.001  # before a planned send the core is kept from idling
_AWAKE_SHARE = 0.02  # of the mean gap, at most
_GARBAGE_SOON, _GARBAGE_NOW = 20_000, 100_000  # allocations in excess of frees
_GARBAGE_GAP_SECONDS = 0.02


class Dispatcher:
    """Follows a schedule.

    Parameters
    ----------
    hand_out
        Gives an arrival to a user, without waiting.
    target_qps
        Mean arrival rate, in 1/s.
    """

    def __init__(self, hand_out: Callable[[Arrival], None], target_qps: float) -> None:
        self.lead = 0.0
        self._hand_out = hand_out
        self._awake = min(_AWAKE_SECONDS, _AWAKE_SHARE / target_qps)
        self._blind = False
        self._ahead = 0.0
        self._stopped = False

    def follow(self, arrivals: Iterator[Arrival], end: float) -> None:
        """Hand out and release every arrival, then wait until `now()` is `end`."""
        handed: deque[Arrival] = deque()
        coming = next(arrivals, None)
        with Timer() as timer:
            while coming or handed:
                at = coming.planned - self.lead if coming else inf
                if coming and (not handed or at < handed[0].planned - _MAKING_SECONDS):
                    if (pause := at - now()) > self._ahead:
                        _collect_garbage(pause)
                        timer.sleep_until(at)
                    self._hand_out(coming)
                    handed.append(coming)
                    coming = None if self._stopped else next(arrivals, None)
                else:
                    timer.sleep_until(handed[0].planned, self._awake)
                    handed.popleft().release()
            if not self._stopped:
                timer.sleep_until(end)

    def stop(self) -> None:
        """Hand out at most the arrival that is next; the others never are."""
        self._stopped = True

    def learn(self, arrival: Arrival) -> None:
        """Take an arrival that is over: only clients that can be held get a lead."""
        if isnan(arrival.records.sent[arrival.row]):
            return
        self._blind = self._blind or not arrival.was_held
        self.lead = 0.0 if self._blind else LEAD_SECONDS
        self._ahead = self.lead and _AHEAD_SECONDS


def _collect_garbage(pause: float) -> None:
    """Collect what a stream of failed requests leaves, in a pause of the schedule."""
    waiting = gc.get_count()[0]
    if waiting > _GARBAGE_NOW or (waiting > _GARBAGE_SOON and pause > _GARBAGE_GAP_SECONDS):
        gc.collect(0)
