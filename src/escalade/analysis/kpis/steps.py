"""A measured step with everything that its KPIs and gates are computed from."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.kpis.catalogue import SHARES, WAITING
from escalade.analysis.measured.levels import RATE, level_of
from escalade.analysis.measured.series import Samples, targets_of
from escalade.analysis.measured.windows import (
    Chunks,
    Window,
    cohort,
    has,
    occupancy,
    request_log,
    window_of,
)
from escalade.analysis.stats.intervals import FAILED, quantile
from escalade.analysis.stats.steadiness import Saturation, saturation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from escalade.analysis.measured.cell import CellData, Slo
    from escalade.analysis.measured.levels import Level
    from escalade.analysis.measured.windows import BoolArray, FloatArray, Occupancy, RequestLog

FIRST_TURN, LATER_TURNS = "first turn", "later turns"
LATE_SECONDS = 0.005
LATE_SHARE = 0.05

OUTCOME_WORDS = {
    "service_failed": "the service failed",
    "client_failed": "the load client failed",
    "not_run": "not run",
}
GIVEN_UP = "abandoned"
"""Outcome of a step that was given up when it was decided; its window ends where sending did."""


def why_unmeasured(outcome: Mapping[str, Any]) -> str | None:
    """Say why a step has no KPIs, or None when it was measured."""
    kind = str(outcome.get("outcome"))
    if kind in ("measured", GIVEN_UP):
        return None if window_of(outcome) else "the step has no window"
    words = OUTCOME_WORDS.get(kind, f"outcome {kind!r}")
    cause = outcome.get("cause")
    return f"{words}: {cause}" if cause else words


@dataclass(frozen=True)
class MeasuredStep:
    """One step that was measured.

    Attributes
    ----------
    data
        The cell that it belongs to, with the step's own requests.
    outcome
        Its entry in windows.json.
    window
        The part that counts.
    log
        All its requests, warm-up included.
    samples
        Its samples.
    targets
        Targets that were ever scraped in this cell.
    slos
        What the step is held to; decides which sends are late.
    """

    data: CellData
    outcome: Mapping[str, Any]
    window: Window
    log: RequestLog
    samples: Samples
    targets: Sequence[Mapping[str, str]]
    slos: Sequence[Slo]

    @property
    def number(self) -> int:
        """Number of the step, from 1."""
        return int(self.outcome["step"])

    @cached_property
    def level(self) -> Level:
        """What the step was loaded with."""
        return level_of(self.outcome)

    @property
    def target_qps(self) -> float:
        """Rate asked for, in requests per second; NaN for a load without a rate."""
        return self.level.qps

    @property
    def drained_at(self) -> float:
        """When nothing was in flight any more, or waiting for it ended."""
        drained = self.outcome.get("drained_at")
        return self.window.end if drained is None else float(drained)

    @property
    def given_up(self) -> Mapping[str, Any] | None:
        """Why the step was given up before its end, if it was."""
        return self.outcome.get("abandoned") if self.outcome["outcome"] == GIVEN_UP else None

    @property
    def client(self) -> Mapping[str, Any]:
        """What the client reported about itself."""
        return self.outcome.get("client") or {}

    @property
    def seed(self) -> tuple[int, ...]:
        """Identity of the data, to draw resamples from."""
        return zlib.crc32(self.data.name.encode()), self.data.repetition, self.number

    @cached_property
    def cohort(self) -> RequestLog:
        """Requests planned inside the window; in a closed loop, those sent inside it."""
        return cohort(self.log, self.window)

    @cached_property
    def scheduled(self) -> RequestLog:
        """Those of them whose time the schedule says: all but later turns of conversations."""
        return self.cohort.only(self.cohort.turn <= 1)

    @cached_property
    def judged(self) -> RequestLog:
        """Those of them that count for latency, errors and goodput: not what clients were to leave."""
        return self.cohort.only(self.cohort.judged)

    @cached_property
    def streamed(self) -> RequestLog:
        """Those of the judged that may come in chunks: see `may_stream`."""
        return self.judged.only(self.may_stream(self.judged))

    def may_stream(self, log: RequestLog) -> BoolArray:
        """Say of requests of this step whether they may come in chunks.

        Those of a mix's workload don't of which good answers came and none in chunks, as
        embeddings: they have no time to first token, and must not count as one that never came.
        """
        if not self.workloads:
            return np.ones(len(log), dtype=bool)
        names = self.data.requests["workload"]
        answered = names.iloc[self.log.rows[self.log.success]]
        chunked = names.iloc[self.log.rows[self.log.success & ~np.isnan(self.log.first)]]
        whole = set(answered) - set(chunked)
        return ~names.iloc[log.rows].isin(whole).to_numpy(dtype=bool)

    @cached_property
    def workloads(self) -> list[str]:
        """Names of the workloads of a mix, in order of the alphabet; none where there is one."""
        if not has(self.data.requests, "workload"):
            return []
        return sorted(set(self.data.requests["workload"].iloc[self.log.rows].dropna()))

    @property
    def turns(self) -> dict[str, MeasuredStep]:
        """First and later turns of conversations, each as a step without objectives; {} without."""
        turn = self.log.turn
        if not has(self.data.requests, "turn"):
            return {}
        masks = {FIRST_TURN: turn == 1, LATER_TURNS: turn > 1}
        return {
            name: replace(self, log=self.log.only(mask), slos=()) for name, mask in masks.items()
        }

    def part(self, workload: str) -> MeasuredStep:
        """Give what one workload of a mix did in this step, with the objectives on it alone."""
        mine = self.data.requests["workload"].iloc[self.log.rows] == workload
        own = [slo for slo in self.slos if slo.workload == workload]
        return replace(self, log=self.log.only(mine.to_numpy(dtype=bool)), slos=own)

    @cached_property
    def chunks(self) -> Chunks:
        """Chunks of every request of the log."""
        return Chunks.of(self.data.requests["chunk_offsets"].iloc[self.log.rows])

    @cached_property
    def saturation(self) -> Saturation:
        """How the backlog moved."""
        return saturation(self.log, self.window, self.in_system)

    @property
    def saturated(self) -> bool:
        """Whether requests piled up without end; what was sent at once is a pile from the start."""
        return self.level.name == RATE and self.saturation.over

    @cached_property
    def left(self) -> FloatArray:
        """When each request was over; at the drain for one that never ended."""
        never = max(self.drained_at, self.window.end)
        return np.where(np.isnan(self.log.ended), never, self.log.ended)

    @cached_property
    def in_system(self) -> Occupancy:
        """Requests planned and not over."""
        return occupancy(self.log.planned, self.left, self.window)

    @property
    def stays(self) -> FloatArray:
        """Time from plan to end of each request of the cohort, in seconds."""
        inside = self.window.holds(self.log.planned)
        return (self.left - self.log.planned)[inside]

    @property
    def failures(self) -> str:
        """How many requests of the cohort failed, in words."""
        return f"{100 * self.judged.failures / len(self.judged):.3g} % {FAILED}"

    @cached_property
    def late_after_seconds(self) -> float:
        """Dispatch lag from which on a send is late: max(5 ms, 5 % of the judged latency).

        The judged latency is the smallest of the statistics that SLOs judge on
        latency or time to first token, as measured, and of their limits;
        without such an SLO the median latency.
        """
        slos = [slo for slo in self.slos if slo.metric in WAITING]
        judged = [self._measured_value(slo.metric, slo.stat, slo.workload) for slo in slos]
        judged += [slo.limit for slo in slos]
        finite = [
            value
            for value in judged or [self._measured_value("latency_seconds", "p50")]
            if math.isfinite(value)
        ]
        return max(LATE_SECONDS, LATE_SHARE * min(finite, default=0.0))

    def _measured_value(self, metric: str, stat: str, workload: str | None = None) -> float:
        part = self.part(workload) if workload else self
        values: FloatArray = (
            part.judged.latency if metric == "latency_seconds" else part.streamed.ttft
        )
        values = values[np.isfinite(values)]
        if not len(values):
            return math.nan
        return float(values.mean()) if stat == "mean" else quantile(np.sort(values), SHARES[stat])

    @cached_property
    def resolution_seconds(self) -> float:
        """Finest time that the client can tell apart; NaN when unknown."""
        lags = self.cohort.dispatch_lag
        sent_when_planned = len(lags) and self.level.name == RATE
        own = [quantile(np.sort(lags), 0.5)] if sent_when_planned else []
        loop = (self.client.get("event_loop_lag_seconds") or {}).get("p50")
        known = [
            value
            for value in (*own, loop, self.data.added_seconds)
            if value is not None and math.isfinite(value)
        ]
        return max(known, default=math.nan)


def measured_steps(data: CellData, slos: Sequence[Slo]) -> Iterator[MeasuredStep]:
    """Give the steps of a cell that were measured, in ascending order.

    One after the other: a step's requests are read when its turn comes, and nothing here keeps
    them, so that a cell may be larger than memory.
    """
    interval = data.scrape_interval_seconds
    outcomes = [outcome for outcome in data.steps if why_unmeasured(outcome) is None]
    if not outcomes:
        return
    targets = targets_of(Samples(data.series, interval).only(["up"]))
    number = data.series["step"].to_numpy()
    for outcome in outcomes:
        step = int(outcome["step"])
        samples = Samples(data.series[number == step], interval)
        yield _measured_step(data, outcome, samples, targets, slos)


def _measured_step(
    data: CellData,
    outcome: Mapping[str, Any],
    samples: Samples,
    targets: Sequence[Mapping[str, str]],
    slos: Sequence[Slo],
) -> MeasuredStep:
    step, window = int(outcome["step"]), window_of(outcome)
    assert window is not None  # noqa: S101 - `why_unmeasured` has seen to it
    mine = data.at(step)
    log = request_log(mine.requests, step, from_send=level_of(outcome).closed)
    return MeasuredStep(mine, outcome, window, log, samples, targets, slos)
