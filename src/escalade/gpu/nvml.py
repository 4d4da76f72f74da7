"""The GPUs of this node, read through NVIDIA's own library.

Foreign units (MiB, mW, mJ, MHz, %) are converted here: what leaves this module is in
bytes, watts, joules, hertz, degrees Celsius and ratios.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import pynvml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"

_Read = TypeVar("_Read")

NOT_OFFERED = (
    pynvml.NVMLError_NotSupported,
    pynvml.NVMLError_FunctionNotFound,
    pynvml.NVMLError_NoPermission,
)


class Gpu(TypedDict):
    """One GPU, as environment.json has it; None is what the hardware does not tell."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int | None
    power_limit_watts: float | None
    driver_version: str


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU to read from, while NVML is open.

    Parameters
    ----------
    index
        Its place in the order of NVML, which is that of the PCI bus.
    uuid, name
        What identifies it, and its model.
    handle
        NVML's own.
    """

    index: int
    uuid: str
    name: str
    handle: Any


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a GPU in bytes; what the driver keeps for itself is neither used nor free."""

    total: int
    used: int
    free: int


def gpus() -> tuple[list[Gpu], str | None]:
    """Find the GPUs that programs of this process may use.

    Returns
    -------
    list of Gpu
        Those in `CUDA_VISIBLE_DEVICES`, or all where it is not set.
    str or None
        Why there is none, beginning with "no GPU"; None when there is one.
    """
    try:
        with opened():
            found, present = devices()
            if not found:
                hidden = f"{VISIBLE_VARIABLE} shows none of the {present} here"
                return [], f"no GPU: {hidden if present else 'the driver finds none'}"
            driver = str(pynvml.nvmlSystemGetDriverVersion())
            return [_describe(device, driver) for device in found], None
    except pynvml.NVMLError as error:
        return [], f"no GPU: {error}"


@contextlib.contextmanager
def opened() -> Iterator[None]:
    """Keep NVML open during the block.

    Raises
    ------
    pynvml.NVMLError
        When there is no library, no driver, or no permission.
    """
    pynvml.nvmlInit()
    try:
        yield
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def devices() -> tuple[list[Device], int]:
    """Give the GPUs that may be used and can be read, and how many the driver shows in all.

    Raises
    ------
    pynvml.NVMLError
        When the driver can't count them.
    """
    count = int(pynvml.nvmlDeviceGetCount())
    present = [device for device in map(_device, range(count)) if device]
    chosen = visible([(it.index, it.uuid) for it in present], os.environ.get(VISIBLE_VARIABLE))
    return [device for device in present if device.index in chosen], count


def visible(present: Sequence[tuple[int, str]], variable: str | None) -> list[int]:
    """Choose GPUs as CUDA does from `CUDA_VISIBLE_DEVICES`.

    Parameters
    ----------
    present
        Index and UUID of every GPU.
    variable
        Its value: indices or beginnings of UUIDs between commas; None when unset.

    Returns
    -------
    list of int
        Indices, in the order of the variable. The first entry that names no GPU
        ends the list, as in CUDA.

    Notes
    -----
    CUDA counts from its fastest GPU on unless `CUDA_DEVICE_ORDER=PCI_BUS_ID`; on a
    node with GPUs of one model, the only kind where it matters little, both agree.
    """
    if variable is None:
        return [index for index, _ in present]
    chosen: list[int] = []
    for entry in variable.split(","):
        index = _named(entry.strip(), present)
        if index is None or index in chosen:
            break
        chosen.append(index)
    return chosen


def utilization_ratio(device: Device) -> float | None:
    """Give the share of the last sample period (1/6 to 1 s) in which a kernel ran, 0..1."""
    found = _offered(lambda: pynvml.nvmlDeviceGetUtilizationRates(device.handle).gpu)
    return None if found is None else found / 100


def memory(device: Device) -> Memory | None:
    """Give the memory of a GPU."""
    found = _offered(
        lambda: pynvml.nvmlDeviceGetMemoryInfo(device.handle, version=pynvml.nvmlMemory_v2)
    ) or _offered(lambda: pynvml.nvmlDeviceGetMemoryInfo(device.handle))  # drivers before 510
    return found and Memory(total=int(found.total), used=int(found.used), free=int(found.free))


def temperature_celsius(device: Device) -> float | None:
    """Give the temperature of the die."""
    sensor = pynvml.NVML_TEMPERATURE_GPU
    return _offered(lambda: float(pynvml.nvmlDeviceGetTemperature(device.handle, sensor)))


def power_watts(device: Device) -> float | None:
    """Give the power of the board, which newer GPUs average over a second."""
    return _thousandth(lambda: pynvml.nvmlDeviceGetPowerUsage(device.handle))


def power_limit_watts(device: Device) -> float | None:
    """Give the power limit that is in force."""
    return _thousandth(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(device.handle))


def energy_joules(device: Device) -> float | None:
    """Give the energy used since the driver was loaded (Volta and newer)."""
    return _thousandth(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(device.handle))


def clock_hertz(device: Device, clock: str) -> float | None:
    """Give the frequency of the clock "sm" or "memory"."""
    kind = {"sm": pynvml.NVML_CLOCK_SM, "memory": pynvml.NVML_CLOCK_MEM}[clock]
    return _offered(lambda: pynvml.nvmlDeviceGetClockInfo(device.handle, kind) * 1e6)


def _describe(device: Device, driver: str) -> Gpu:
    try:
        size, limit = memory(device), power_limit_watts(device)
    except pynvml.NVMLError:  # lost since it was found: still part of this node
        size, limit = None, None
    return Gpu(
        index=device.index,
        uuid=device.uuid,
        name=device.name,
        memory_total_bytes=None if size is None else size.total,
        power_limit_watts=limit,
        driver_version=driver,
    )


def _device(index: int) -> Device | None:
    """Give the GPU of that index, or None when it is lost or not this user's."""
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError:
        return None
    return Device(index, str(uuid), str(name), handle)


def _named(entry: str, present: Sequence[tuple[int, str]]) -> int | None:
    """Give the index of the GPU that an entry names; None when none or several match."""
    if entry.isdecimal():
        return next((index for index, _ in present if index == int(entry)), None)
    matching = [index for index, uuid in present if entry and uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None


def _thousandth(read: Callable[[], int]) -> float | None:
    found = _offered(read)
    return None if found is None else found / 1000


def _offered(read: Callable[[], _Read]) -> _Read | None:
    """Give None for what this hardware, driver or user does not get; raise anything else."""
    try:
        return read()
    except NOT_OFFERED:
        return None
