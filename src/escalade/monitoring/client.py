"""Client of the Prometheus HTTP API.

Built on requests. Answers are bounded: long ranges are asked for in pieces, and a
piece that is too large is halved. Connection errors are retried a few times;
nothing else is.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from escalade.errors import InputError
from escalade.monitoring.answers import Samples, decode
from escalade.monitoring.faults import (
    BadQueryError,
    MalformedAnswerError,
    PrometheusError,
    QueryTimeoutError,
    TooLargeError,
    TooManyPointsError,
    UnreachableError,
)
from escalade.monitoring.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_STEPS_PER_ANSWER = 10_000  # Prometheus refuses more than 11,000 points per series
_STEPS_IN_ALL = 1_000_000
_SAMPLES_PER_ANSWER = 200_000  # about 6 MB of JSON
_FIRST_PIECE_SECONDS = 10.0
_ADMIN_SECONDS = 120.0  # a snapshot writes the whole head block


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """What Prometheus knows about one of its targets.

    Parameters
    ----------
    job, address, path
        As configured: the key by which a target is found again.
    labels
        The labels that its samples get.
    health
        "up", "down" or "unknown" (not scraped yet).
    last_error
        Why the last scrape failed; "" when it did not.
    """

    job: str
    address: str
    path: str
    labels: Mapping[str, str]
    health: str
    last_error: str


class PrometheusClient(AbstractContextManager["PrometheusClient"]):
    """Asks one Prometheus.

    Parameters
    ----------
    url
        Base URL, as in `http://127.0.0.1:9090`.
    timeout
        Seconds for one whole answer; Prometheus is told the same limit.
    retries
        How often a request is repeated whose connection failed.

    Raises
    ------
    InputError
        When `url` is no http(s) URL.

    Notes
    -----
    Every method that asks may raise `UnreachableError`, `QueryTimeoutError`,
    `MalformedAnswerError` or `PrometheusError`; those that take an expression
    `BadQueryError` too.
    """

    def __init__(self, url: str, timeout: float = 30.0, retries: int = 3) -> None:
        self._transport = Transport(url, retries)
        self.url = self._transport.url
        self.timeout = timeout

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def instant(self, expression: str, at: float | None = None) -> pd.DataFrame:
        """Evaluate an expression at one moment.

        Parameters
        ----------
        expression
            PromQL. A range selector such as `up[10s]` gives raw samples, both ends
            included; `raw_samples` is the safe way to those.
        at
            Unix seconds; now when None.

        Returns
        -------
        DataFrame
            metric, labels, timestamp, value; without rows when there is no data.
        """
        form = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        samples = Samples()
        samples.add(self._query("query", form))
        return samples.frame()

    def value(self, expression: str, at: float | None = None) -> float | None:
        """Evaluate an expression that has one value at most.

        Returns
        -------
        float or None
            None when there is no data.

        Raises
        ------
        BadQueryError
            When it has several: aggregate, or select by more labels.
        """
        frame = self.instant(expression, at)
        if len(frame) > 1:
            raise BadQueryError(
                f"{expression!r} has {len(frame)} values where one was expected. "
                "Aggregate them, as in sum(…), or select by more labels."
            )
        return None if frame.empty else float(frame["value"].iloc[0])

    def range(self, expression: str, start: float, end: float, step: float) -> pd.DataFrame:
        """Evaluate an expression at start, start + step, … up to and including `end`.

        Parameters
        ----------
        expression
            PromQL.
        start, end
            Unix seconds, rounded to milliseconds.
        step
            Seconds, 0.001 at least.

        Returns
        -------
        DataFrame
            metric, labels, timestamp, value. The timestamps are those of the grid,
            not of the scrapes.

        Raises
        ------
        InputError
            When `end` lies before `start` or `step` is not positive.
        TooManyPointsError
            Beyond a million steps.
        """
        first, stride = _milliseconds(start), _milliseconds(step)
        steps = (_milliseconds(end) - first) // max(stride, 1) + 1
        if stride < 1 or steps < 1:
            raise InputError(
                f"No range from {start} to {end} s with a step of {step} s: "
                "expected start ≤ end and a step of 0.001 s or more."
            )
        if steps > _STEPS_IN_ALL:
            raise TooManyPointsError(
                f"{steps:,} steps are asked for, {_STEPS_IN_ALL:,} are the most. "
                "Ask for a shorter time or a longer step."
            )
        samples = Samples()
        for done in range(0, steps, _STEPS_PER_ANSWER):
            last = min(done + _STEPS_PER_ANSWER, steps) - 1
            form = {
                "query": expression,
                "start": _seconds(first + done * stride),
                "end": _seconds(first + last * stride),
                "step": _seconds(stride),
            }
            samples.add(self._query("query_range", form))
        return samples.frame()

    def raw_samples(self, selector: str, start: float, end: float) -> pd.DataFrame:
        """Give the samples as they were scraped, with the timestamps of the scrapes.

        Parameters
        ----------
        selector
            An instant selector, as in `node_load1` or `{__name__=~"node_.*"}`.
        start, end
            Unix seconds; the window is half-open, [start, end).

        Returns
        -------
        DataFrame
            metric, labels, timestamp, value; without rows when there is no data.

        Raises
        ------
        InputError
            When the window is empty.

        Notes
        -----
        Range selectors are asked for at the end of each piece, not `query_range`:
        that one looks back from a grid and repeats or skips samples. The first
        piece is short; the next ones are as long as its density allows.
        """
        if not (math.isfinite(start) and math.isfinite(end) and start < end):
            raise InputError(f"The window [{start}, {end}) is empty: expected start < end.")
        samples = Samples()
        reached, length = start, _FIRST_PIECE_SECONDS
        while reached < end:
            until = min(reached + length, end)
            try:
                found = samples.add(self._selected(selector, reached, until), reached, until)
            except TooLargeError:
                if until - reached < 1.0:
                    raise
                length = (until - reached) / 2
                continue
            length *= min(8.0, max(0.5, _SAMPLES_PER_ANSWER / max(found, 1)))
            reached = until
        return samples.frame()

    def targets(self) -> list[TargetHealth]:
        """Give what Prometheus knows about the targets that it scrapes now."""
        data = self._data("GET", "/api/v1/targets?state=active", "targets")
        try:
            return [_target_health(target) for target in data["activeTargets"]]
        except (KeyError, TypeError) as error:
            raise MalformedAnswerError(
                f"{self.url}: the list of targets lacks {error}. Is this a Prometheus 2.x or 3.x?"
            ) from error

    def ready(self) -> bool:
        """Tell whether Prometheus answers and has loaded its data; asked once, without retries."""
        try:
            status, _ = self._transport.request_once(
                "GET", "/-/ready", None, min(2.0, self.timeout)
            )
        except (UnreachableError, QueryTimeoutError):
            return False
        return bool(status == requests.codes.ok)

    def build_info(self) -> dict[str, str]:
        """Give the version and how it was built."""
        return dict(self._data("GET", "/api/v1/status/buildinfo", "build information"))

    def flags(self) -> dict[str, str]:
        """Give the command line that Prometheus runs with, defaults included."""
        return dict(self._data("GET", "/api/v1/status/flags", "flags"))

    def loaded_configuration(self) -> str:
        """Give the configuration that is live, as YAML with all defaults filled in."""
        data = self._data("GET", "/api/v1/status/config", "live configuration")
        return str(data["yaml"])

    def snapshot(self) -> str:
        """Have a snapshot of all data written.

        Returns
        -------
        str
            Name of its folder under `snapshots` in the data folder.

        Raises
        ------
        PrometheusError
            When the disk is full, or without `--web.enable-admin-api`.
        """
        form: dict[str, str] = {}
        data = self._data("POST", "/api/v1/admin/tsdb/snapshot", "snapshot", form, _ADMIN_SECONDS)
        try:
            return str(data["name"])
        except (KeyError, TypeError) as error:
            raise MalformedAnswerError(f"{self.url}: the snapshot has no name.") from error

    def reload(self) -> None:
        """Have the configuration file read again.

        Raises
        ------
        BadQueryError
            When Prometheus refuses the file; the old configuration stays live.
        PrometheusError
            Without `--web.enable-lifecycle`.
        """
        status, body = self._transport.request("POST", "/-/reload", {}, self.timeout)
        words = body.decode("utf-8", errors="replace").strip()
        if status == requests.codes.internal_server_error:
            raise BadQueryError(f"{self.url} keeps its old configuration: {words}.")
        self._insist(status, words, "reload")

    def quit(self) -> None:
        """Ask Prometheus to end; it does so right after the answer."""
        status, body = self._transport.request_once("POST", "/-/quit", {}, self.timeout)
        self._insist(status, body.decode("utf-8", errors="replace").strip(), "quit")

    def _selected(self, selector: str, start: float, end: float) -> Any:
        """Ask for all samples of [start, end]; one millisecond more on either side.

        Prometheus 3 leaves out the left end of a range, Prometheus 2 includes it.
        """
        until = math.ceil(end * 1000)
        length = until - math.floor(start * 1000) + 1
        return self._query("query", {"query": f"{selector}[{length}ms]", "time": _seconds(until)})

    def _query(self, endpoint: str, form: dict[str, str]) -> Any:
        form = form | {"timeout": f"{max(1, round(self.timeout * 1000))}ms"}
        return self._data("POST", f"/api/v1/{endpoint}", f"query {form['query']!r}", form)

    def _data(
        self,
        method: str,
        path: str,
        asked: str,
        form: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        status, body = self._transport.request(method, path, form, timeout or self.timeout)
        return decode(status, body, f"{self.url}: {asked}")

    def _insist(self, status: int, words: str, asked: str) -> None:
        if status != requests.codes.ok:
            raise PrometheusError(f"{self.url}: {asked}: HTTP {status}: {words}")


def _target_health(target: Mapping[str, Any]) -> TargetHealth:
    found = target["discoveredLabels"]
    return TargetHealth(
        job=found["job"],
        address=found["__address__"],
        path=found["__metrics_path__"],
        labels=dict(target["labels"]),
        health=target["health"],
        last_error=target["lastError"],
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
