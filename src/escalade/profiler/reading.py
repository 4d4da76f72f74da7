"""What one GPU of one node showed at one moment, wherever it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from escalade.gpu import readings as gpu

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of the profiler: which samples of the exporter fill it.

    Parameters
    ----------
    name
        Of the column, as in `power_watts`; the unit is that of the exporter.
    metric, labels
        The exporter's.
    counts
        Whether it is a counter, of which the growth tells.
    """

    name: str
    metric: str
    labels: Mapping[str, str]
    counts: bool = False


_OUT, _IN = {"direction": "sent"}, {"direction": "received"}
FIGURES = (
    Figure("utilization_ratio", gpu.UTILIZATION, {}),
    Figure("memory_activity_ratio", gpu.MEMORY_ACTIVITY, {}),
    Figure("memory_used_bytes", gpu.MEMORY_USED, {}),
    Figure("memory_total_bytes", gpu.MEMORY_TOTAL, {}),
    Figure("power_watts", gpu.POWER, {}),
    Figure("temperature_celsius", gpu.TEMPERATURE, {}),
    Figure("sm_clock_hertz", gpu.CLOCK, {"clock": "sm"}),
    Figure("memory_clock_hertz", gpu.CLOCK, {"clock": "memory"}),
    Figure("energy_joules", gpu.ENERGY, {}, counts=True),
    Figure("pcie_sent_bytes", gpu.PCIE, _OUT, counts=True),
    Figure("pcie_received_bytes", gpu.PCIE, _IN, counts=True),
    Figure("nvlink_sent_bytes", gpu.NVLINK, _OUT, counts=True),
    Figure("nvlink_received_bytes", gpu.NVLINK, _IN, counts=True),
)
"""All columns, in their order."""
BANDWIDTH = ("pcie_sent_bytes", "pcie_received_bytes")
NVLINK = ("nvlink_sent_bytes", "nvlink_received_bytes")


@dataclass(frozen=True, slots=True)
class Reading:
    """One GPU at one moment.

    Parameters
    ----------
    time
        Unix seconds by the clock of the node, when the GPU was read.
    node, gpu, name, uuid
        Which GPU: host, index, model, NVML's identifier.
    values
        By name of `FIGURES`; what the hardware does not offer is absent. Counters are as the
        hardware has them.
    """

    time: float
    node: str
    gpu: int
    name: str
    uuid: str
    values: Mapping[str, float]

    @property
    def device(self) -> str:
        """Name the GPU as the output does: `host:index:name`, of a part of a GPU with its UUID."""
        part = f" {self.uuid}" if self.uuid.startswith("MIG-") else ""
        return f"{self.node}:{self.gpu}:{self.name}{part}"


class Source(Protocol):
    """Where readings are stored: the head's Prometheus, or the file of a recorder."""

    def readings(self, start: float, end: float) -> Iterator[Reading]:
        """Give the readings of [start, end), in Unix seconds, in the order of time.

        Only a small part of them may be in memory at a time.
        """
        ...


def metrics(*, bandwidth: bool, nvlink: bool) -> frozenset[str]:
    """Name the metrics of the exporter that fill the columns which are wanted."""
    left_out = (() if bandwidth else BANDWIDTH) + (() if nvlink else NVLINK)
    return frozenset(figure.metric for figure in FIGURES if figure.name not in left_out)


_BY_SAMPLE = {(it.metric, tuple(it.labels.items())): it.name for it in FIGURES}


def column_of(metric: str, labels: Mapping[str, str]) -> str | None:
    """Name the column that a sample of the exporter fills; None when it fills none.

    Parameters
    ----------
    metric
        Its name.
    labels
        Those that it has beside its GPU's.
    """
    return _BY_SAMPLE.get((metric, tuple(labels.items())))
