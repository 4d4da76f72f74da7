"""The live figures of a running step, for whoever watches."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from math import isnan
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np
from gevent.hub import get_hub

from escalade.errors import EscaladeError
from escalade.files import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.load.schedule import StepPlan

_PERIOD_SECONDS = 1.0
_RATE_SECONDS = 5
_LATENCIES = 200


class Progress:
    """Rewrites a small JSON file once a second.

    The file is a preview: the rate is that of the last 5 s, the percentile that of
    the last 200 requests that ended.

    Parameters
    ----------
    path
        The file; None writes nothing.
    plan
        The step.
    planned
        Its number of requests, which a closed loop does not know beforehand.
    until
        A file that ends the sending once it is there.
    """

    def __init__(
        self, path: Path | None, plan: StepPlan, planned: int, until: Path | None = None
    ) -> None:
        self._path = path
        self._until = until
        self._fixed = {
            "step": plan.step,
            "target_qps": plan.target_qps,
            "planned": None if plan.open_ended else planned,
        }
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._sent: deque[tuple[float, int]] = deque(maxlen=_RATE_SECONDS + 1)
        self._errors = 0

    def finished(self, latency: float, *, failed: bool) -> None:
        """Take a finished arrival: seconds since its planned send (NaN: not sent), and how."""
        if not isnan(latency):
            self._latencies.append(latency)
        self._errors += failed

    def figures(self, live: dict[str, Any]) -> dict[str, Any]:
        """Complete the live figures (`sent`, `in_flight`, `window_end`, `now`)."""
        self._sent.append((live["now"], live["sent"]))
        seconds = self._sent[-1][0] - self._sent[0][0]
        sent = self._sent[-1][1] - self._sent[0][1]
        return {
            **self._fixed,
            **live,
            "rate_qps": sent / seconds if seconds > 0 else None,
            "p95_seconds": float(np.percentile(self._latencies, 95)) if self._latencies else None,
            "errors": self._errors,
        }

    def run(
        self, live: Callable[[], dict[str, Any]], give_up: Callable[[], None] = lambda: None
    ) -> None:
        """Write until the greenlet is killed; call `give_up` when the file is there that says so."""
        if self._path is None:
            return
        pool = get_hub().threadpool  # the disk may be slow, the schedule can't wait
        while True:
            pool.apply(_write, (self._path, self.figures(live())))
            if self._until is not None and pool.apply(self._until.exists):
                give_up()
            gevent.sleep(_PERIOD_SECONDS)


def _write(path: Path, content: dict[str, Any]) -> None:
    with suppress(EscaladeError):  # a preview is not worth a measurement
        write_json(path, content)
