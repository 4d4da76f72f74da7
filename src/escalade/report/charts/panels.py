"""What happened over a cell's time: load, queue, processors, memory, GPUs and network, panel by panel."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from escalade.analysis.gates.state_gates import CHANGING
from escalade.report.charts.hardware import cpu_power_panel, gpu_panels, network_panel
from escalade.report.charts.traces import (
    Panel,
    Points,
    Trace,
    label_of,
    matching,
    of_service,
    sampled,
    summed,
    total_rate,
)
from escalade.report.words import clean

if TYPE_CHECKING:
    from escalade.report.charts.traces import Lines
    from escalade.report.facts import CellFacts

_MOST_POINTS = 900
_MADE: WeakKeyDictionary[CellFacts, list[Panel]] = WeakKeyDictionary()
_BINS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


def panels(cell: CellFacts) -> list[Panel]:
    """Give the panels of a cell, in the order in which cause leads to effect: figure and twin have the same."""
    if cell not in _MADE:
        _MADE[cell] = _panels(cell)
    return _MADE[cell]


def _panels(cell: CellFacts) -> list[Panel]:
    names = cell.environment.get("metric_names") or {}
    return [
        _load_panel(cell),
        _flight_panel(cell),
        _queue_panel(cell, clean(names.get("queue_length") or "")),
        sampled(
            cell, "Service CPU", "cores", ("escalade_process_cpu_seconds_total",), _service_cpu
        ),
        sampled(cell, "Node CPU", "ratio", ("node_cpu_seconds_total",), _node_cpu, ceiling=1.0),
        sampled(
            cell,
            "Service memory",
            "bytes",
            ("escalade_process_resident_memory_bytes",),
            lambda frame: {"": summed(_of_its_processes(frame))},
        ),
        *gpu_panels(cell),
        cpu_power_panel(cell),
        network_panel(cell),
    ]


def _load_panel(cell: CellFacts) -> Panel:
    width = bin_seconds(cell)
    title = "Arrivals and completions"
    if cell.requests.empty:
        return Panel(title, "requests/s", missing="no request was recorded")
    read = {"step", "planned_at", "sent_at", "ended_at"}
    times = cell.requests[[name for name in cell.requests if name in read]]
    planned: Points = []
    sent: Points = []
    done: Points = []
    for step in cell.steps:
        start, end = step.times["started_at"], step.times["drained_at"]
        if not (math.isfinite(start) and math.isfinite(end) and end > start):
            continue
        mine = times[times["step"] == step.number]
        stop = step.times["window_end"] if math.isfinite(step.times["window_end"]) else end
        zero = cell.started_at
        if step.level.closed:
            planned.append((stop - zero, math.nan))  # nothing is
        elif step.arrivals in CHANGING:
            planned += _corners(_rates(mine["planned_at"], start, stop, width, zero))
        else:
            rate = step.level.qps
            planned += [(start - zero, rate), (stop - zero, rate)]
            planned.append((stop - zero, math.nan))
        sent += _rates(mine["sent_at"], start, end, width, zero)
        done += _rates(mine["ended_at"], start, end, width, zero)
    known = any(math.isfinite(rate) for _, rate in planned)
    traces = (
        *([Trace("planned", planned, "muted", 1.2, dashed=True)] if known else []),
        Trace("sent", sent, "blue", stepped=True),
        Trace("completed", done, "green", stepped=True),
    )
    return Panel(title, "requests/s", traces)


def _corners(bins: Points) -> Points:
    """Give the corners of a line that is level within each bin."""
    corners: Points = []
    for (begin, rate), (end, _) in pairwise(bins[:-1]):
        corners += [(begin, rate), (end, rate)]
    return corners + bins[-1:]


def bin_seconds(cell: CellFacts) -> float:
    """Choose the width over which rates are counted: a quarter of the shortest window, at most 250 bins."""
    lengths = [step.times["window_end"] - step.times["window_start"] for step in cell.steps]
    shortest = min((length for length in lengths if length > 0), default=5.0)
    ends = [step.times["drained_at"] - cell.started_at for step in cell.steps]
    whole = max((end for end in ends if math.isfinite(end)), default=0.0)
    fine = [width for width in _BINS if width <= max(shortest / 4, 1.0)]
    few = [width for width in _BINS if width >= whole / 250]
    return max(fine[-1], few[0] if few else _BINS[-1])


def _rates(times: pd.Series, start: float, end: float, width: float, zero: float) -> Points:
    """Count events per bin of a step; the last bin is as long as what is left of it."""
    edges = np.append(np.arange(start, end, width), end)
    if edges[-1] - edges[-2] < width / 2 and len(edges) > 2:
        edges = np.delete(edges, -2)
    counts, _ = np.histogram(times.dropna().to_numpy(dtype=float), bins=edges)
    rates = counts / np.diff(edges)
    points = list(zip((edges[:-1] - zero).tolist(), rates.tolist(), strict=True))
    return [*points, (end - zero, float(rates[-1])), (end - zero, math.nan)]


def _flight_panel(cell: CellFacts) -> Panel:
    title = "Requests in flight"
    sent = cell.requests[cell.requests["sent_at"].notna()] if len(cell.requests) else cell.requests
    if sent.empty:
        return Panel(title, "requests", missing="no request was sent")
    drained = {step.number: step.times["drained_at"] for step in cell.steps}
    gone = sent["ended_at"].fillna(sent["step"].map(drained)).to_numpy(dtype=float)
    begun = sent["sent_at"].to_numpy(dtype=float)[np.isfinite(gone)]
    gone = gone[np.isfinite(gone)]
    times = np.concatenate([begun, gone])
    change = np.concatenate([np.ones(len(begun)), -np.ones(len(gone))])
    order = np.lexsort((change, times))
    points = _thinned(times[order] - cell.started_at, np.cumsum(change[order]))
    return Panel(title, "requests", (Trace("in flight", points, "blue", 1.3, stepped=True),))


def _thinned(times: np.ndarray, values: np.ndarray) -> Points:
    """Keep of every small span its highest point, so that no peak is lost."""
    if len(times) <= _MOST_POINTS:
        return list(zip(times.tolist(), values.tolist(), strict=True))
    frame = pd.DataFrame({"time": times, "value": values})
    span = (times[-1] - times[0]) / _MOST_POINTS or 1.0
    place = ((frame["time"] - times[0]) // span).astype(int)
    kept = frame.loc[frame.groupby(place)["value"].idxmax()].sort_values("time")
    return list(zip(kept["time"].tolist(), kept["value"].tolist(), strict=True))


def _queue_panel(cell: CellFacts, raw_name: str) -> Panel:
    if not raw_name:
        return Panel("Queue length", "requests", missing="the service publishes no queue length")
    return sampled(cell, "Queue length", "requests", (raw_name,), lambda frame: {"": summed(frame)})


def _of_its_processes(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[matching(frame, lambda labels: label_of(labels, "role") == "service")]


def _service_cpu(frame: pd.DataFrame) -> Lines:
    return {"": total_rate(_of_its_processes(frame))}


def _node_cpu(frame: pd.DataFrame) -> Lines:
    """Give the busy share of all cores: neither idle, nor waiting for a disk, nor taken away."""
    mine = of_service(frame)
    resting = matching(mine, lambda labels: label_of(labels, "mode") in ("idle", "iowait", "steal"))
    spent = total_rate(mine)
    rest = total_rate(mine[resting])
    return {"": 1.0 - rest.reindex(spent.index) / spent.where(spent > 0)}
