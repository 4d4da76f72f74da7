"""Client of the Prometheus HTTP API: everything in this project that asks a Prometheus uses it.

Built on requests. Answers are bounded: long ranges are asked for in pieces, and a
piece that is too large is halved. Connection errors are retried a few times;
nothing else is.
"""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import requests

from escalade.errors import InputError
from escalade.monitoring import known
from escalade.monitoring.answers import Samples, decode
from escalade.monitoring.faults import (
    BadQueryError,
    MalformedAnswerError,
    TooLargeError,
    TooManyPointsError,
)
from escalade.monitoring.known import Alert, MetricFacts, RuleState, TargetHealth
from escalade.monitoring.server import PrometheusServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

__all__ = ["Alert", "MetricFacts", "PrometheusClient", "RuleState", "TargetHealth"]

_STEPS_PER_ANSWER = 10_000  # Prometheus refuses more than 11,000 points per series
_STEPS_IN_ALL = 1_000_000
_SAMPLES_PER_ANSWER = 200_000  # about 6 MB of JSON
_FIRST_PIECE_SECONDS = 10.0
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class PrometheusClient(PrometheusServer):
    """Asks one Prometheus for samples, and for what it knows of targets, metrics, rules and alerts.

    Parameters and errors are those of `PrometheusServer`; methods that take an
    expression may raise `BadQueryError` too, with Prometheus' own words.
    """

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
        return self._instant(expression, at).frame()

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
        levels = [track.values for track in self._instant(expression, at).tracks()]  # noqa: PD011 - no frame
        found = [float(value) for several in levels for value in several]
        if len(found) > 1:
            raise BadQueryError(
                f"{expression!r} has {len(found)} values where one was expected. "
                "Aggregate them, as in sum(…), or select by more labels."
            )
        return found[0] if found else None

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
        return self.range_samples(expression, start, end, step).frame()

    def range_samples(self, expression: str, start: float, end: float, step: float) -> Samples:
        """Do the same, and give the samples as they were gathered."""
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
        samples, done, piece = Samples(), 0, _STEPS_PER_ANSWER
        while done < steps:
            last = min(done + piece, steps) - 1
            form = {
                "query": expression,
                "start": _seconds(first + done * stride),
                "end": _seconds(first + last * stride),
                "step": _seconds(stride),
            }
            try:
                samples.add(self._query("query_range", form))
            except TooLargeError:
                if last == done:
                    raise
                piece = (last - done + 1) // 2
                continue
            done = last + 1
        return samples

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
        """
        whole = Samples()
        for piece in self.raw_pieces(selector, start, end):
            whole.join(piece)
        return whole.frame()

    def raw_pieces(self, selector: str, start: float, end: float) -> Iterator[Samples]:
        """Give the same samples piece by piece in the order of time, so that few are in memory.

        Yields
        ------
        Samples
            All samples of the next part of the window, some 200,000 where there are as many.

        Notes
        -----
        Range selectors are asked for at the end of each piece, not `query_range`:
        that one looks back from a grid and repeats or skips samples. The first
        piece is short; the next ones are as long as its density allows. While a piece is
        used, a thread fetches the next one.
        """
        if not (math.isfinite(start) and math.isfinite(end) and start < end):
            raise InputError(f"The window [{start}, {end}) is empty: expected start < end.")
        begin, until = start, min(start + _FIRST_PIECE_SECONDS, end)
        with ThreadPoolExecutor(1, "raw-samples") as ahead:
            pending = ahead.submit(self._select, selector, begin, until)
            while begin < end:
                piece, here, there = Samples(), begin, until
                try:
                    answer = pending.result()
                    if answer[0] == requests.codes.ok:  # the next one comes while this is read
                        grown = _SAMPLES_PER_ANSWER / max(_samples_in(answer[1]), 1)
                        length = (there - here) * min(8.0, max(0.5, grown))
                        begin, until = there, min(there + length, end)
                        if begin < end:
                            pending = ahead.submit(self._select, selector, begin, until)
                    piece.add_answer(*answer, here, there)
                except TooLargeError:
                    if there - here < 1.0:
                        raise
                    until = here + (there - here) / 2
                    pending = ahead.submit(self._select, selector, here, until)
                    continue
                yield piece

    def now(self) -> float:
        """Give the time by Prometheus' own clock, in Unix seconds."""
        found = self.value("time()")
        if found is None:
            raise MalformedAnswerError(f"{self.url} does not tell the time.")
        return found

    def targets(self) -> list[TargetHealth]:
        """Give what Prometheus knows about the targets that it scrapes now."""
        data = self._data("GET", "/api/v1/targets?state=active", "targets")
        return known.read_targets(data, self.url)

    def metadata(self, metric: str = "") -> dict[str, MetricFacts]:
        """Give kind, description and unit of a metric, or of all that are scraped now.

        Returns
        -------
        dict of str to MetricFacts
            Without the metrics of which nobody tells.
        """
        asked = "/api/v1/metadata" + (f"?{urlencode({'metric': metric})}" if metric else "")
        return known.read_metadata(self._data("GET", asked, "metrics"), self.url)

    def rules(self) -> list[RuleState]:
        """Give all rules, in the order of their files."""
        return known.read_rules(self._data("GET", "/api/v1/rules", "rules"), self.url)

    def alerts(self) -> list[Alert]:
        """Give the alerts that are pending or firing now."""
        return known.read_alerts(self._data("GET", "/api/v1/alerts", "alerts"), self.url)

    def label_values(
        self, label: str, selector: str = "", start: float | None = None, end: float | None = None
    ) -> list[str]:
        """Give the values that a label has, sorted; those of `__name__` are the metrics.

        Parameters
        ----------
        label
            Its name.
        selector
            Of the series to look at; all by default.
        start, end
            Unix seconds; about, since Prometheus looks at whole blocks.

        Raises
        ------
        InputError
            When `label` can't name one.
        """
        if not _LABEL.fullmatch(label):
            raise InputError(f"{label!r} can't name a label: expected letters, digits and _.")
        given = {"match[]": selector or None, "start": start, "end": end}
        asked = urlencode({name: value for name, value in given.items() if value is not None})
        path = f"/api/v1/label/{label}/values" + (f"?{asked}" if asked else "")
        data = self._data("GET", path, f"values of the label {label!r}")
        return known.read_words(data, self.url)

    def series(self, selector: str, start: float, end: float) -> list[tuple[str, str]]:
        """Name the series of a selector, as the frames do: metric and canonical JSON of labels.

        Parameters
        ----------
        selector
            An instant selector.
        start, end
            Unix seconds; about, since Prometheus looks at whole blocks.
        """
        form = {"match[]": selector, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        data = self._data("POST", "/api/v1/series", f"series of {selector!r}", form)
        return known.read_series(data, self.url)

    def _instant(self, expression: str, at: float | None) -> Samples:
        form = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        samples = Samples()
        samples.add(self._query("query", form))
        return samples

    def _select(self, selector: str, start: float, end: float) -> tuple[int, bytes, str]:
        """Ask for all samples of [start, end]; one millisecond more on either side.

        Prometheus 3 leaves out the left end of a range, Prometheus 2 includes it.
        """
        until = math.ceil(end * 1000)
        length = until - math.floor(start * 1000) + 1
        form = {"query": f"{selector}[{length}ms]", "time": _seconds(until)}
        return self._answer("query", form)

    def _query(self, endpoint: str, form: dict[str, str]) -> Any:
        return decode(*self._answer(endpoint, form))

    def _answer(self, endpoint: str, form: dict[str, str]) -> tuple[int, bytes, str]:
        """Give status, body and what was asked."""
        form = form | {"timeout": f"{max(1, round(self.timeout * 1000))}ms"}
        path = f"/api/v1/{endpoint}"
        status, body = self._transport.request("POST", path, form, self.timeout)
        return status, body, f"{self.url}: query {form['query']!r}"


def _samples_in(body: bytes) -> int:
    """Count, about, the samples of an answer without reading it."""
    return body.count(b"],") + body.count(b'"values"')


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
