"""Panels of the timelines that show hardware: each GPU, power of CPUs, and the busiest link of the service's node."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from escalade.report.charts.traces import Panel, label_of, of_service, sampled, total_rate
from escalade.report.words import clean

if TYPE_CHECKING:
    from escalade.report.charts.traces import Lines
    from escalade.report.facts import CellFacts

_GPU_PANELS = (
    ("GPU utilisation", "ratio", "escalade_gpu_utilization_ratio", 1.0),
    ("GPU memory", "bytes", "escalade_gpu_memory_used_bytes", 0.0),
    ("GPU power", "W", "escalade_gpu_power_watts", 0.0),
)
_MOST_GPUS = 8
"""More lines than these are no lines any more: then the mean is drawn, with the lowest and the highest."""
_ENERGY = {"node_rapl_package_joules_total": "packages", "node_rapl_dram_joules_total": "memory"}
_RECEIVED, _SENT = "node_network_receive_bytes_total", "node_network_transmit_bytes_total"


def gpu_panels(cell: CellFacts) -> list[Panel]:
    """Make the panels of utilisation, memory and power, with a line per GPU."""
    none = clean(cell.environment.get("gpu_note") or "no GPU")
    found = [
        sampled(cell, title, unit, (metric,), _by_gpu, ceiling=ceiling)
        for title, unit, metric, ceiling in _GPU_PANELS
    ]
    if cell.environment.get("gpus"):
        return found
    return [Panel(p.title, p.unit, missing=none) if p.missing else p for p in found]


def _by_gpu(frame: pd.DataFrame) -> Lines:
    """Give each GPU's samples; of many the mean, the lowest and the highest at each moment."""
    several = len({label_of(labels, "instance") for labels in frame["labels"].unique()}) > 1
    lines: Lines = {}
    for labels, mine in frame.groupby("labels", sort=True):
        ordered = mine.sort_values("timestamp")
        name = clean(f"GPU {_number(str(labels))}")
        if several:
            name += f" of {clean(label_of(str(labels), 'instance'))}"
        lines[name] = pd.Series(ordered["value"].to_numpy(), index=ordered["timestamp"].to_numpy())
    if len(lines) == 1:
        return {"": next(iter(lines.values()))}
    if len(lines) <= _MOST_GPUS:
        return dict(sorted(lines.items()))
    # exporters of several nodes are scraped at moments of their own: to the second
    at = frame["timestamp"].round()
    by_time = frame.groupby(at, sort=True)["value"]
    return {"mean": by_time.mean(), "lowest": by_time.min(), "highest": by_time.max()}


def _number(labels: str) -> str:
    """Give what a GPU is called: its number, with the UUID where it is a part of a GPU."""
    number = label_of(labels, "gpu") or label_of(labels, "index")  # of cells before 2026-11-23
    uuid = label_of(labels, "uuid")
    return f"{number} {uuid}" if uuid.startswith("MIG-") else number


def cpu_power_panel(cell: CellFacts) -> Panel:
    """Make the panel of the power of CPU packages and memory, from their counters of energy."""
    return sampled(
        cell,
        "CPU power",
        "W",
        tuple(_ENERGY),
        lambda frame: {
            name: total_rate(mine)
            for metric, name in _ENERGY.items()
            if len(mine := of_service(frame[frame["metric"] == metric]))
        },
    )


def network_panel(cell: CellFacts) -> Panel:
    """Make the panel of the link that moved most, in both directions.

    One link and not their sum: of bonded or mirrored links the same bytes would count twice.
    """
    panel = sampled(cell, "Network", "bytes/s", (_RECEIVED, _SENT), _busiest_link)
    if panel.missing:
        return panel
    frame = of_service(cell.series[cell.series["metric"].isin((_RECEIVED, _SENT))])
    return Panel(f"Network, {clean(_busiest(frame))}", panel.unit, panel.traces)


def _busiest_link(frame: pd.DataFrame) -> Lines:
    mine = of_service(frame)
    device = _busiest(mine)
    here = mine[[label_of(labels, "device") == device for labels in mine["labels"]]]
    return {
        label: total_rate(here[here["metric"] == metric])
        for label, metric in (("received", _RECEIVED), ("sent", _SENT))
    }


def _busiest(frame: pd.DataFrame) -> str:
    """Name the link whose counters grew most, the first by name among equals."""
    grown: dict[str, float] = {}
    for (labels, _), mine in frame.groupby(["labels", "metric"], sort=True):
        device = label_of(str(labels), "device")
        values = mine["value"]
        more = float(values.max() - values.min())
        grown[device] = max(grown.get(device, 0.0), more if math.isfinite(more) else 0.0)
    return max(sorted(grown), key=grown.__getitem__, default="")
