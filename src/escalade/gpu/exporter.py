"""Exporter of GPUs, each read at the moment of a scrape: `python -m escalade.gpu.exporter --port N`.

What the hardware does not offer has no samples; a GPU whose reading fails has none in that scrape
but `escalade_gpu_up`, and the failure is counted.
"""

from __future__ import annotations

import argparse
import collections
import sys
import threading
import time
from typing import TYPE_CHECKING

import pynvml
from prometheus_client import Metric
from prometheus_client.registry import Collector

from escalade.gpu import compat, nvml
from escalade.gpu.readings import METRICS, Sample, samples
from escalade.gpu.xids import Xids
from escalade.runtime.exposition import serve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from escalade.gpu.nvml import Device

UP = "escalade_gpu_up"
ERRORS = "escalade_gpu_errors_total"
XIDS = "escalade_gpu_xid_errors_total"
LAST_XID = "escalade_gpu_last_xid_code"
_DCGM_XID = "DCGM_FI_DEV_XID_ERRORS"


class GpuCollector(Collector):
    """Reads the visible GPUs; NVML must be open.

    Parameters
    ----------
    devices
        The GPUs.
    compatible
        Names of others to add: of `compat.KINDS`.
    constant
        Labels that every sample gets, such as the node.
    processes
        Also the memory of each process.
    only
        Names of `METRICS` that are read and served; all by default. What else the exporter knows
        of a GPU, as whether it can be read, is served anyway.
    timestamps
        Have every sample of a GPU carry the time at which that GPU was read.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        compatible: Sequence[str] = (),
        constant: Mapping[str, str] | None = None,
        processes: bool = True,
        only: Collection[str] | None = None,
        timestamps: bool = False,
    ) -> None:
        self._devices = list(devices)
        self._compatible = compatible
        self._constant = dict(constant or {})
        self._processes = processes
        self._only = None if only is None else frozenset(only)
        self._timestamps = timestamps
        self._errors: collections.Counter[tuple[str, str]] = collections.Counter()
        self._xids = Xids(devices)
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance, so that registering does not read any GPU."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the samples of this moment."""
        with self._lock:
            times: dict[str, float] = {}
            read = [(it, found) for it in self._devices if (found := self._read(it, times))]
            self._xids.read()
            families = [*self._own(read, times), *self._kept(read)]
            for kind in self._compatible:
                families += compat.families(kind, read, self._constant)
            if compat.DCGM in self._compatible:
                families += self._last_xids(_DCGM_XID, "Value of the last XID error encountered.")
        return families

    def _read(self, device: Device, times: dict[str, float]) -> list[Sample]:
        """Give all samples of a GPU, or none: half a GPU would look like a whole one."""
        if self._timestamps:
            times[device.uuid] = time.time()
        try:
            return list(samples(device, processes=self._processes, only=self._only))
        except pynvml.NVMLError as error:
            self._errors[device.uuid, str(error)] += 1
            return []

    def _own(
        self, read: Sequence[tuple[Device, Sequence[Sample]]], times: Mapping[str, float]
    ) -> Iterable[Metric]:
        families = {name: _family(name, text) for name, text in METRICS.items()}
        for device, found in read:
            labels = self._labels(device)
            for sample in found:
                families[sample.name].add_sample(
                    sample.name, {**labels, **sample.labels}, sample.value, times.get(device.uuid)
                )
        return [family for family in families.values() if family.samples]

    def _kept(self, read: Sequence[tuple[Device, Sequence[Sample]]]) -> Iterable[Metric]:
        """Give what the exporter itself knows, also of a GPU that can't be read."""
        there = {device.uuid for device, _ in read}
        up = _family(UP, "Whether this scrape could read the GPU.")
        xids = _family(XIDS, "XID errors that the driver reported since the exporter started.")
        errors = _family(ERRORS, "Scrapes in which a GPU could not be read.")
        for device in self._devices:
            labels = self._labels(device)
            up.add_sample(UP, labels, float(device.uuid in there))
            if device.uuid in self._xids.counts:
                xids.add_sample(XIDS, labels, self._xids.counts[device.uuid])
            for (uuid, error), count in sorted(self._errors.items()):
                if uuid == device.uuid:
                    errors.add_sample(ERRORS, {**labels, "error": error}, count)
        last = self._last_xids(LAST_XID, "XID that was reported last, while the exporter runs.")
        return [family for family in (up, xids, *last, errors) if family.samples]

    def _last_xids(self, name: str, text: str) -> list[Metric]:
        family = _family(name, text)
        for device in self._devices:
            if (code := self._xids.last.get(device.uuid)) is not None:
                foreign = compat.labels_of(compat.DCGM, device)
                labels = (
                    {**self._constant, **foreign} if name == _DCGM_XID else self._labels(device)
                )
                family.add_sample(name, labels, code)
        return [family] if family.samples else []

    def _labels(self, device: Device) -> dict[str, str]:
        own = {"gpu": str(device.index), "uuid": device.uuid, "name": device.name}
        return {**self._constant, **own}


def _family(name: str, text: str) -> Metric:
    counts = name.endswith("_total")
    return Metric(name.removesuffix("_total"), text, "counter" if counts else "gauge")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0, or 3 when there is no GPU or the port can't be had.
    """
    options = _parser().parse_args(arguments)
    found, note = nvml.gpus()
    if not found:
        sys.stderr.write(f"{note}\n")
        return 3
    with nvml.opened():
        collector = GpuCollector(
            nvml.devices()[0],
            compatible=options.compat,
            constant=dict(options.label),
            processes=options.processes,
            only=options.only,
            timestamps=options.timestamps,
        )
        return serve(collector, options.address, options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu exporter", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="to listen on")
    parser.add_argument("--compat", nargs="*", default=(), choices=compat.KINDS)
    parser.add_argument("--label", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--only", nargs="+", choices=[*METRICS], metavar="METRIC")
    parser.add_argument("--timestamps", action="store_true", help="of the readings, in samples")
    parser.add_argument("--no-processes", dest="processes", action="store_false")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
