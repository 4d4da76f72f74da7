"""Faults that the driver reports of GPUs (XID), counted from when the exporter began to listen."""

from __future__ import annotations

import collections
import ctypes
from typing import TYPE_CHECKING, Any

import pynvml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.gpu.nvml import Device

_MOST = 1000
"""Events of one reading: a GPU that reports without end must not hold a scrape."""


class Xids:
    """Counts of XIDs by GPU; NVML must be open.

    Parameters
    ----------
    devices
        The GPUs. One that does not report XIDs, as a MIG device, has no count.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self.counts: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self._by_address: dict[int, str] = {}
        self._events: Any = None
        try:
            self._events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError:
            return
        for device in devices:
            self._register(device)

    def read(self) -> None:
        """Count what was reported since the last reading; waits for nothing."""
        if not self.counts:
            return
        seen: collections.Counter[str] = collections.Counter()
        for _ in range(_MOST):
            try:
                event = pynvml.nvmlEventSetWait_v2(self._events, 0)
            except pynvml.NVMLError:  # nothing more, or a GPU is lost: its reading says so
                break
            uuid = self._by_address.get(_address(event.device))
            if uuid is not None:
                seen[uuid] += 1
                self.last[uuid] = int(event.eventData)
        for uuid, count in seen.items():
            self.counts[uuid] += count

    def _register(self, device: Device) -> None:
        if device.mig:
            return
        kind = pynvml.nvmlEventTypeXidCriticalError
        try:
            pynvml.nvmlDeviceRegisterEvents(device.handle, kind, self._events)
        except pynvml.NVMLError:  # not offered, or lost meanwhile
            return
        self.counts[device.uuid] = 0
        self._by_address[_address(device.handle)] = device.uuid


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
