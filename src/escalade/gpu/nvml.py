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
    instance
        GPU instance of a MIG device, which is a part of the GPU of that index; None: a whole GPU.
    """

    index: int
    uuid: str
    name: str
    handle: Any
    instance: int | None = None

    @property
    def mig(self) -> bool:
        """Whether it is a MIG device."""
        return self.instance is not None


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
    present = [part for device in map(_device, range(count)) if device for part in _parts(device)]
    chosen = visible([(it.index, it.uuid) for it in present], os.environ.get(VISIBLE_VARIABLE))
    return [device for device in present if device.uuid in chosen], count


def visible(present: Sequence[tuple[int, str]], variable: str | None) -> list[str]:
    """Choose GPUs as CUDA does from `CUDA_VISIBLE_DEVICES`.

    Parameters
    ----------
    present
        Index and UUID of every GPU, and of every MIG device in place of the GPU that it is a part of.
    variable
        Its value: indices or beginnings of UUIDs between commas; None when unset.

    Returns
    -------
    list of str
        UUIDs, in the order of the variable. The first entry that names no GPU ends
        the list, as in CUDA. The index of a GPU that is cut up names its first part.

    Notes
    -----
    CUDA counts from its fastest GPU on unless `CUDA_DEVICE_ORDER=PCI_BUS_ID`; on a
    node with GPUs of one model, the only kind where it matters little, both agree.
    """
    if variable is None:
        return [uuid for _, uuid in present]
    chosen: list[str] = []
    for entry in variable.split(","):
        uuid = _named(entry.strip(), present)
        if uuid is None or uuid in chosen:
            break
        chosen.append(uuid)
    return chosen


def memory(device: Device) -> Memory | None:
    """Give the memory of a GPU."""
    found = offered(pynvml.nvmlDeviceGetMemoryInfo, device.handle, pynvml.nvmlMemory_v2) or offered(
        pynvml.nvmlDeviceGetMemoryInfo, device.handle
    )  # drivers before 510
    return found and Memory(total=int(found.total), used=int(found.used), free=int(found.free))


def power_limit_watts(device: Device) -> float | None:
    """Give the power limit that is in force."""
    return _thousandth(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(device.handle))


def energy_joules(device: Device) -> float | None:
    """Give the energy used since the driver was loaded (Volta and newer)."""
    return _thousandth(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(device.handle))


def offered(read: Callable[..., _Read], *arguments: Any) -> _Read | None:
    """Call; give None for what this hardware, driver or user does not get, and raise anything else."""
    try:
        return read(*arguments)
    except NOT_OFFERED:
        return None


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


def _parts(device: Device) -> list[Device]:
    """Give the MIG devices that a GPU is cut into, or the GPU itself."""
    try:
        if not pynvml.nvmlDeviceGetMigMode(device.handle)[0]:
            return [device]
        places = range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device.handle))
    except pynvml.NVMLError:  # not offered, or lost meanwhile: its readings say so
        return [device]
    return [part for place in places if (part := _part(device, place))]


def _part(device: Device, place: int) -> Device | None:
    """Give a MIG device, or None where there is none, or it is not this user's."""
    try:
        handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device.handle, place)
        uuid, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
        instance = pynvml.nvmlDeviceGetGpuInstanceId(handle)
    except pynvml.NVMLError:
        return None
    return Device(device.index, str(uuid), str(name), handle, int(instance))


def _named(entry: str, present: Sequence[tuple[int, str]]) -> str | None:
    """Give the UUID of the GPU that an entry names; None when none or several match."""
    if entry.isdecimal():
        return next((uuid for index, uuid in present if index == int(entry)), None)
    matching = [uuid for _, uuid in present if entry and uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None


def _thousandth(read: Callable[[], int]) -> float | None:
    found = offered(read)
    return None if found is None else found / 1000
