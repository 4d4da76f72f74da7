"""Energy per request and per token: by scope, from counters, gross and net of idle.

Energy is the growth of a counter where there is one, else power integrated over time. A scope is
what the counter covers; scopes are never added up, for a node has parts that none of them counts.
What an idle service draws is taken from the pauses of its own cell, and of several pauses the one
with the least power counts: net energy is then rather too high than too low.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.kpis.joules import bridged, mean_watts
from escalade.analysis.kpis.neighbours import of_service
from escalade.analysis.kpis.readings import Reading, label_of
from escalade.analysis.measured.series import Samples, Track
from escalade.analysis.measured.windows import Window, tokens_per_block
from escalade.analysis.stats.intervals import NOT_ESTIMABLE, Estimate
from escalade.analysis.stats.sampled import over_samples, ratio_over_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.windows import FloatArray

PACKAGE, DRAM, GPU, NODE = "package", "dram", "gpu", "node"
COUNTERS = {
    PACKAGE: "node_rapl_package_joules_total",
    DRAM: "node_rapl_dram_joules_total",
    GPU: "escalade_gpu_energy_joules_total",
}
"""Counter of joules by scope."""
GPU_POWER = "escalade_gpu_power_watts"
THROUGHPUT = "throughput_qps"
NOTHING_ABOVE_IDLE = f"{NOT_ESTIMABLE}: no more than what it draws when idle"
METRICS = (*COUNTERS.values(), GPU_POWER)
RAPL, NVML, INTEGRAL = "RAPL counter", "NVML counter", "NVML power, integrated over time"
AGREE = 0.05
"""How far a counter and the integral of power may differ, as a share of the counter's."""
ABSENT = {
    PACKAGE: "no RAPL counter was scraped: the processor has none, a virtual machine hides it, or only "
    "root may read it (chmod a+r /sys/class/powercap/*/energy_uj)",
    DRAM: "no RAPL counter of the memory was scraped: not every processor has one, and where it has "
    "the same rights are needed as for the package",
    GPU: "no GPU was scraped",
    NODE: "nothing that is scraped measures whole nodes; what Slurm's energy accounting has of a cell, "
    "where a site keeps it, is told apart",
}
"""Why a scope has no figure, and what would measure it."""


@dataclass(frozen=True)
class Meter:
    """What measures one scope: a counter of joules, or power in watts."""

    scope: str
    method: str
    tracks: Sequence[Track]

    def watts(self, samples: Samples, window: Window) -> float | None:
        """Give the mean power in a time; None where it is not covered by samples."""
        if self.method == INTEGRAL:
            found = samples.gauge(self.tracks, window)
            return None if found is None or found[2] < 2 else found[0]
        return mean_watts(self.tracks, window, samples.max_age)

    def samples(self, samples: Samples, window: Window) -> FloatArray:
        """Give the power of one scrape interval after the other."""
        if self.method == INTEGRAL:
            return samples.levels(self.tracks, window)
        return samples.paces([self.tracks], window)[0]

    def joules(self) -> list[Track]:
        """Give its counters of joules; of power, what it comes to from sample to sample."""
        return [_integrated(t) if self.method == INTEGRAL else t for t in self.tracks]

    def gap(self, window: Window) -> float:
        """Give the longest time of the window without a sample of one of its series, in seconds."""
        longest = 0.0
        for track in self.tracks:
            inside = track.times[(track.times > window.start) & (track.times < window.end)]
            edges = np.concatenate([[window.start], inside, [window.end]])
            longest = max(longest, float(np.diff(edges).max()))
        return longest

    @property
    def label(self) -> str:
        """What tells its rows apart in the table of KPIs."""
        return label_of({"scope": self.scope, "method": self.method})


def _integrated(power: Track) -> Track:
    held = power.levels[:-1] * np.diff(power.times)
    return replace(power, levels=np.concatenate([[0.0], np.cumsum(held)]))


def meters(samples: Samples) -> list[Meter]:
    """Give what there is to measure energy with, of the service's nodes."""
    found = []
    for scope, metric in COUNTERS.items():
        tracks = of_service(samples.tracks(metric))
        method = NVML if scope == GPU else RAPL
        if scope == GPU and not tracks:
            tracks, method = of_service(samples.tracks(GPU_POWER)), INTEGRAL
        elif scope == GPU:
            powers = samples.tracks(GPU_POWER)
            tracks = [bridged(track, powers) for track in tracks]
        if tracks:
            found.append(Meter(scope, method, tracks))
    return found


def _meters_of(cell: CellData) -> list[Meter]:
    """Give the meters of a whole cell, each with the samples of all its steps."""
    return meters(Samples(cell.series, cell.scrape_interval_seconds).only(METRICS))


@dataclass(frozen=True)
class Idle:
    """What a scope draws while the service waits.

    Attributes
    ----------
    watts
        NaN when it is not known.
    seconds
        Length of the pause that it was taken from.
    words
        Where it comes from, or why there is none.
    """

    watts: float
    seconds: float
    words: str


def idle_of(cell: CellData) -> dict[str, Idle]:
    """Give the power of each scope while the service was there and nothing was asked of it.

    A pause is the time before the first step, between the end of one and the start of the next, and
    after the last, as far as samples are kept. It counts with two samples of every counter.
    """
    found = {}
    for meter in _meters_of(cell):
        measured = [
            (watts, end - start, words)
            for start, end, words in _pauses(cell, meter)
            if (watts := _pause_watts(meter, start, end)) is not None
        ]
        if not measured:
            why = (
                "no pause of the cell has two samples: a longer `load.cooldown_seconds` would "
                "measure what it draws when idle"
            )
            found[meter.scope] = Idle(math.nan, 0.0, why)
            continue
        found[meter.scope] = Idle(*min(measured))
    return found


def _pause_watts(meter: Meter, start: float, end: float) -> float | None:
    """Give the power in a pause, from samples inside it alone; None without two of each series."""
    total = 0.0
    for track in meter.tracks:
        inside = (track.times >= start) & (track.times <= end)
        times = track.times[inside]
        if len(times) < 2:
            return None
        levels = track.levels[inside]
        if meter.method == INTEGRAL:
            total += float(np.trapezoid(levels, times) / (times[-1] - times[0]))
        else:
            grown = replace(track, times=times, levels=levels).cumulative().levels[-1]
            total += float(grown / (times[-1] - times[0]))
    return total


def _pauses(cell: CellData, meter: Meter) -> list[tuple[float, float, str]]:
    """Give the pauses of a cell: begin, end, and when that was."""
    ran = [step for step in cell.steps if step.get("started_at") is not None]
    if not ran:
        return []
    spans = [
        (float(s["started_at"]), float(s.get("drained_at") or s.get("window_end") or math.inf))
        for s in ran
    ]
    spans.sort()
    first = min(float(track.times[0]) for track in meter.tracks)
    last = max(float(track.times[-1]) for track in meter.tracks)
    between = [(before[1], after[0], "between two steps") for before, after in pairwise(spans)]
    return [
        (first, spans[0][0], "before the first step"),
        *between,
        (spans[-1][1], last, "after the last step"),
    ]


def idle_readings(cell: CellData) -> list[Reading]:
    """Give the power of an idle service, one row per scope that was measured."""
    if not cell.monitored:
        return []
    by_scope = idle_of(cell)
    labels = {meter.scope: meter.label for meter in _meters_of(cell)}
    return [
        Reading(
            "idle_power_watts",
            "value",
            Estimate.missing(idle.words) if math.isnan(idle.watts) else Estimate(value=idle.watts),
            labels[scope],
        )
        for scope, idle in by_scope.items()
    ]


def energy_readings(
    step: MeasuredStep, idle: Mapping[str, Idle], rates: Mapping[str, float]
) -> list[Reading]:
    """Compute power and energy of a step; nothing where nothing measures it.

    Parameters
    ----------
    step
        As measured.
    idle
        Of its cell, by scope.
    rates
        `throughput_qps` and `output_tokens_per_second` of the step, NaN unknown.
    """
    if not step.data.monitored:
        return []
    readings = []
    for meter in meters(step.samples.only(METRICS)):
        power = _power(meter, step)
        at_rest = idle.get(meter.scope, Idle(math.nan, 0.0, "what it draws when idle is not known"))
        unknown = Estimate.missing(at_rest.words) if math.isnan(at_rest.watts) else power
        readings.append(Reading("power_watts", "mean", power, meter.label))
        for metric, per, things in (
            ("energy_joules_per_request", THROUGHPUT, "requests were answered"),
            ("energy_joules_per_token", "output_tokens_per_second", "tokens were counted"),
        ):
            rate = rates.get(per, math.nan)
            if per != THROUGHPUT and math.isnan(rate):
                continue
            for stat, whole, idle_watts in (
                ("gross", power, 0.0),
                ("net", unknown, at_rest.watts),
            ):
                found = _per(whole, idle_watts, rate, things)
                if not math.isnan(found.value):
                    found = _bounded(found, meter, step, per, idle_watts)
                readings.append(Reading(metric, stat, found, meter.label))
    return readings


def _per(power: Estimate, idle_watts: float, rate: float, things: str) -> Estimate:
    if math.isnan(power.value):
        return power
    if not rate > 0:
        return Estimate.missing(f"no {things} in the window")
    return Estimate((power.value - idle_watts) / rate, n=power.n, quality=power.quality)


def _bounded(
    found: Estimate, meter: Meter, step: MeasuredStep, per: str, idle_watts: float
) -> Estimate:
    """Put an interval around energy per thing: joules and things of the same scrape intervals."""
    if found.value <= 0:
        return replace(found, method=NOTHING_ABOVE_IDLE)
    groups, samples = [meter.joules()], step.samples
    (watts,) = samples.paces(groups, step.window)
    paces = _things(per, step, samples.edges(groups, step.window)) / samples.interval
    bounded = ratio_over_samples(found.value, watts - idle_watts, paces, samples.interval)
    if idle_watts and not math.isnan(bounded.low):
        bounded = replace(bounded, method=f"{bounded.method}, idle power as read")
    return replace(bounded, quality=found.quality)


def _things(per: str, step: MeasuredStep, edges: FloatArray) -> FloatArray:
    """Count the answers, or their output tokens, of each scrape interval."""
    if len(edges) < 2:
        return np.empty(0)
    if per == THROUGHPUT:
        ended = step.log.ended[step.log.success]
        return np.histogram(ended, edges)[0].astype(np.float64)
    whole = Window(float(edges[0]), float(edges[-1]))
    arrived = tokens_per_block(step.log, step.chunks, whole, len(edges) - 1)
    return np.zeros(len(edges) - 1) if arrived is None else arrived


def _power(meter: Meter, step: MeasuredStep) -> Estimate:
    """Give the mean power over the window, with what is to be known of it."""
    gap = meter.gap(step.window)
    if gap > step.samples.max_gap:
        return Estimate.missing(f"power invalid: {gap:.3g} s without a sample")
    watts = meter.watts(step.samples, step.window)
    if watts is None:
        return Estimate.missing("fewer than two samples in the window")
    reasons = []
    if meter.method == NVML and (off := _disagreement(watts, step)) > AGREE:
        reasons.append(f"power invalid: counter and integral of power differ by {100 * off:.2g} %")
    if meter.scope in (PACKAGE, DRAM) and _shared(step.data):
        reasons.append("the load generator and the monitoring are on the same node and in it")
    paces = meter.samples(step.samples, step.window)
    return over_samples(watts, paces, step.samples.interval).flagged(*reasons)


def _disagreement(watts: float, step: MeasuredStep) -> float:
    """Say how far the integral of power is from the counter; 0 where there is no such power."""
    tracks = of_service(step.samples.tracks(GPU_POWER))
    found = step.samples.gauge(tracks, step.window) if tracks else None
    return 0.0 if found is None or watts <= 0 else abs(found[0] - watts) / watts


def _shared(cell: CellData) -> bool:
    """Tell whether the load generator is on a node of the service."""
    allocation = cell.environment.get("allocation") or {}
    nodes = allocation.get("service_nodes") or ()
    return allocation.get("launcher") == "local" or allocation.get("client_node") in nodes


def energy_rows(cells: Sequence[CellData]) -> list[dict[str, Any]]:
    """Say for each cell what measured energy, what idle power was, and why the other scopes have none.

    Returns
    -------
    list of dict
        Section `energy` of verdicts.json: cell, deployment, scope, method (None: not measured),
        idle_watts, idle_seconds, words.
    """
    rows = []
    for cell in cells:
        there = {meter.scope: meter for meter in _meters_of(cell)}
        idle = idle_of(cell)
        for scope in (PACKAGE, DRAM, GPU, NODE):
            known = idle.get(scope)
            measured = known is not None and math.isfinite(known.watts)
            rows.append(
                {
                    "cell": cell.name,
                    "deployment": cell.deployment,
                    "scope": scope,
                    "method": there[scope].method if scope in there else None,
                    "idle_watts": known.watts if known is not None and measured else None,
                    "idle_seconds": known.seconds if known is not None and measured else None,
                    "words": known.words if known is not None else _absent(scope, cell),
                }
            )
    return rows


def _absent(scope: str, cell: CellData) -> str:
    if not cell.monitored:
        return "monitoring is off, so nothing was scraped"
    if scope == GPU:
        return str(cell.environment.get("gpu_note") or ABSENT[GPU])
    return ABSENT[scope]
