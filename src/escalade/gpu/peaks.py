"""What GPUs can do at most by their data: never measured here, and labelled theoretical.

Memory: highest clock × bus width × two transfers a clock. Arithmetic: dense products of 16-bit
matrices at the highest clock, multiprocessors × operations of each in a clock, which NVIDIA's
documents give by architecture (compute capability).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

import pynvml

from escalade.gpu.nvml import NOT_OFFERED, devices, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.gpu.nvml import Device

_Read = TypeVar("_Read")

_TRANSFERS = 2
_CORES = {(7, 0): 64, (7, 5): 64, (8, 0): 64, (8, 6): 128, (8, 9): 128, (9, 0): 128, (10, 0): 128}
"""32-bit cores of a multiprocessor, by compute capability."""
_OPERATIONS = {
    (7, 0): 1024,
    (7, 5): 1024,
    (8, 0): 2048,
    (8, 6): 1024,
    (8, 9): 1024,
    (9, 0): 4096,
    (10, 0): 8192,
}
"""Floating-point operations of a multiprocessor in a clock: 16-bit products, dense."""


class Peak(TypedDict):
    """Theoretical figures of one GPU; None is what the hardware does not tell."""

    index: int
    name: str
    memory_bandwidth_bytes_per_second: float | None
    flops_per_second: float | None


def peaks() -> tuple[list[Peak], str | None]:
    """Give what each GPU that programs of this process may use can do at most.

    Returns
    -------
    list of Peak
        Those in `CUDA_VISIBLE_DEVICES`, or all where it is not set.
    str or None
        Why there is none; None when there is one.
    """
    try:
        with opened():
            found, _ = devices()
            return [_peak(device) for device in found], None if found else "no GPU: none is visible"
    except pynvml.NVMLError as error:
        return [], f"no GPU: {error}"


def _peak(device: Device) -> Peak:
    handle = device.handle
    memory = _told(lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM))
    width = _told(lambda: pynvml.nvmlDeviceGetMemoryBusWidth(handle))
    clock = _told(lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM))
    cores = _told(lambda: pynvml.nvmlDeviceGetNumGpuCores(handle))
    capability = _told(lambda: tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)))
    per_clock = _OPERATIONS.get(capability) if capability else None
    return Peak(
        index=device.index,
        name=device.name,
        memory_bandwidth_bytes_per_second=memory * 1e6 * _TRANSFERS * width / 8
        if memory and width
        else None,
        flops_per_second=cores / _CORES[capability] * per_clock * clock * 1e6
        if capability and per_clock and cores and clock
        else None,
    )


def _told(read: Callable[[], _Read]) -> _Read | None:
    """Give None for what this hardware, driver or user does not get, or what is lost meanwhile."""
    try:
        return read()
    except (*NOT_OFFERED, pynvml.NVMLError_GpuIsLost):
        return None
