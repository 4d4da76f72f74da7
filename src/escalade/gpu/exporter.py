"""Exporter of GPU utilisation, memory, temperature, power, energy and clocks.

`python -m escalade.gpu.exporter --port N` reads every GPU at the moment of a scrape.
What the hardware does not offer has no samples; a GPU whose reading fails has none
in that scrape, and the failure is counted.
"""

from __future__ import annotations

import argparse
import collections
import sys
import threading
from typing import TYPE_CHECKING

import pynvml
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from escalade.gpu import nvml
from escalade.runtime.exposition import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from escalade.gpu.nvml import Device

    Family = GaugeMetricFamily | CounterMetricFamily

UTILIZATION = "escalade_gpu_utilization_ratio"
MEMORY = "escalade_gpu_memory_{}_bytes"
TEMPERATURE = "escalade_gpu_temperature_celsius"
POWER = "escalade_gpu_power_watts"
POWER_LIMIT = "escalade_gpu_power_limit_watts"
ENERGY = "escalade_gpu_energy_joules_total"
CLOCK = "escalade_gpu_clock_hertz"
ERRORS = "escalade_gpu_errors_total"

_LABELS = ("index", "uuid", "name")
_READINGS: tuple[tuple[str, str, Callable[[Device], float | None]], ...] = (
    (UTILIZATION, "Share of the time in which a kernel ran.", nvml.utilization_ratio),
    (TEMPERATURE, "Temperature of the die.", nvml.temperature_celsius),
    (POWER, "Power of the board.", nvml.power_watts),
    (POWER_LIMIT, "Power limit in force.", nvml.power_limit_watts),
    (ENERGY, "Energy used since the driver was loaded.", nvml.energy_joules),
)


class GpuCollector(Collector):
    """Reads the visible GPUs; NVML must be open.

    Parameters
    ----------
    devices
        The GPUs.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = list(devices)
        self._errors: collections.Counter[tuple[str, ...]] = collections.Counter()
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read any GPU."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the samples of this moment."""
        with self._lock:
            families = _families()
            for device in self._devices:
                self._read(device, families)
            errors = CounterMetricFamily(
                ERRORS, "Scrapes in which a GPU could not be read.", labels=(*_LABELS, "error")
            )
            for key, count in sorted(self._errors.items()):
                errors.add_metric(key, count)
        return [*families.values(), errors]

    def _read(self, device: Device, families: dict[str, Family]) -> None:
        """Add all samples of a GPU, or none: half a GPU would look like a whole one."""
        key = (str(device.index), device.uuid, device.name)
        try:
            samples = list(_samples(device))
        except pynvml.NVMLError as error:
            self._errors[*key, str(error)] += 1
            return
        for name, labels, value in samples:
            families[name].add_metric((*key, *labels), value)


def _families() -> dict[str, Family]:
    families: dict[str, Family] = {
        name: (CounterMetricFamily if name == ENERGY else GaugeMetricFamily)(
            name, text, labels=_LABELS
        )
        for name, text, _ in _READINGS
    }
    for part in ("total", "used", "free"):
        name = MEMORY.format(part)
        families[name] = GaugeMetricFamily(name, f"Memory of the GPU: {part}.", labels=_LABELS)
    families[CLOCK] = GaugeMetricFamily(
        CLOCK, "Clock frequency of the multiprocessors or the memory.", labels=(*_LABELS, "clock")
    )
    return families


def _samples(device: Device) -> Iterable[tuple[str, tuple[str, ...], float]]:
    for name, _, read in _READINGS:
        if (value := read(device)) is not None:
            yield name, (), value
    if found := nvml.memory(device):
        yield MEMORY.format("total"), (), found.total
        yield MEMORY.format("used"), (), found.used
        yield MEMORY.format("free"), (), found.free
    for clock in ("sm", "memory"):
        if (frequency := nvml.clock_hertz(device, clock)) is not None:
            yield CLOCK, (clock,), frequency


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0, or 3 when there is no GPU or the port can't be had.
    """
    parser = argparse.ArgumentParser(prog="gpu exporter", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="to listen on")
    options = parser.parse_args(arguments)
    found, note = nvml.gpus()
    if not found:
        sys.stderr.write(f"{note}\n")
        return 3
    with nvml.opened():
        return serve(GpuCollector(nvml.devices()[0]), options.address, options.port)


if __name__ == "__main__":
    raise SystemExit(main())
