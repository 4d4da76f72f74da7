"""What one GPU shows at one moment, by our own names and in base units.

What the hardware, the driver or the user's rights do not offer is left out. Where the hardware
counts (energy, bytes over PCIe and NVLink), the counter is read: its growth is exact however many
scrapes were lost between. All counters come by one call for each GPU; the call that NVML has for
the speed of PCIe instead watches the bus for 20 ms in each direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pynvml

from escalade.gpu import nvml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from escalade.gpu.nvml import Device

UTILIZATION = "escalade_gpu_utilization_ratio"
MEMORY_ACTIVITY = "escalade_gpu_memory_activity_ratio"
MEMORY_TOTAL = "escalade_gpu_memory_total_bytes"
MEMORY_USED = "escalade_gpu_memory_used_bytes"
MEMORY_FREE = "escalade_gpu_memory_free_bytes"
TEMPERATURE = "escalade_gpu_temperature_celsius"
MEMORY_TEMPERATURE = "escalade_gpu_memory_temperature_celsius"
POWER = "escalade_gpu_power_watts"
POWER_LIMIT = "escalade_gpu_power_limit_watts"
ENERGY = "escalade_gpu_energy_joules_total"
CLOCK = "escalade_gpu_clock_hertz"
THROTTLED = "escalade_gpu_throttled"
PCIE = "escalade_gpu_pcie_bytes_total"
NVLINK = "escalade_gpu_nvlink_bytes_total"
ECC = "escalade_gpu_ecc_errors_total"
PROCESS_MEMORY = "escalade_gpu_process_memory_bytes"

METRICS = {
    UTILIZATION: "Share of the time in which a kernel ran.",
    MEMORY_ACTIVITY: "Share of the time in which memory was read or written.",
    MEMORY_TOTAL: "Memory of the GPU: total.",
    MEMORY_USED: "Memory of the GPU: used.",
    MEMORY_FREE: "Memory of the GPU: free.",
    TEMPERATURE: "Temperature of the die.",
    MEMORY_TEMPERATURE: "Temperature of the memory.",
    POWER: "Power of the board.",
    POWER_LIMIT: "Power limit in force.",
    ENERGY: "Energy used since the driver was loaded.",
    CLOCK: "Clock frequency of the multiprocessors or the memory.",
    THROTTLED: "Whether clocks are held down now, by reason.",
    PCIE: "Bytes that the GPU sent and received over PCIe.",
    NVLINK: "Payload that the GPU sent and received over all its NVLinks.",
    ECC: "Errors of the memory since the driver was loaded, corrected or not.",
    PROCESS_MEMORY: "Memory of the GPU that a process holds; ids are those that the driver sees.",
}
"""Name to help text, in the order of the page; a name that ends in `_total` is a counter."""

_REASONS = {
    "power_cap": pynvml.nvmlClocksEventReasonSwPowerCap,
    "power_brake": pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
    "software_thermal": pynvml.nvmlClocksEventReasonSwThermalSlowdown,
    "hardware_thermal": pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    "hardware": pynvml.nvmlClocksEventReasonHwSlowdown,
}
_KIBIBYTE = 1024
_ALL_LINKS = 0xFFFFFFFF


class Sample(NamedTuple):
    """A value with the labels that it has beside those of its GPU."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class _Field:
    """A figure that comes by `nvmlDeviceGetFieldValues`."""

    identifier: int
    scope: int
    factor: float
    name: str
    labels: Mapping[str, str]


_NONE: dict[str, str] = {}
_OUT, _IN = {"direction": "sent"}, {"direction": "received"}
_FIELDS = (
    _Field(pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, 0, 1e-3, ENERGY, _NONE),
    _Field(pynvml.NVML_FI_DEV_MEMORY_TEMP, 0, 1, MEMORY_TEMPERATURE, _NONE),
    _Field(pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, 0, 1, PCIE, _OUT),
    _Field(pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES, 0, 1, PCIE, _IN),
    _Field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, _ALL_LINKS, _KIBIBYTE, NVLINK, _OUT),
    _Field(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, _ALL_LINKS, _KIBIBYTE, NVLINK, _IN),
)
_ABSENT = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,  # a field that this driver does not know
)
_VALUES = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
}


def samples(
    device: Device, *, processes: bool = True, only: frozenset[str] | None = None
) -> Iterator[Sample]:
    """Read a GPU; NVML must be open.

    Parameters
    ----------
    device
        A GPU, or a MIG device: that has memory and processes of its own and nothing else, since
        power, clocks and temperature are those of the whole board.
    processes
        Also the memory of each process.
    only
        Names of `METRICS` to read; what else there is is not asked for. All by default.

    Raises
    ------
    pynvml.NVMLError
        When a reading fails for another reason than that it is not offered.
    """
    wanted = frozenset(METRICS) if only is None else only
    if not device.mig and wanted & {UTILIZATION, MEMORY_ACTIVITY}:
        yield from _use(device)
    if wanted & {MEMORY_TOTAL, MEMORY_USED, MEMORY_FREE} and (found := nvml.memory(device)):
        yield Sample(MEMORY_TOTAL, _NONE, found.total)
        yield Sample(MEMORY_USED, _NONE, found.used)
        yield Sample(MEMORY_FREE, _NONE, found.free)
    if not device.mig:
        yield from _board(device, wanted)
        yield from _fields(device, wanted)
    if processes and PROCESS_MEMORY in wanted:
        yield from _processes(device)


def _use(device: Device) -> Iterator[Sample]:
    """Give the shares of the last sample period, which is 1/6 to 1 s long."""
    rates = nvml.offered(pynvml.nvmlDeviceGetUtilizationRates, device.handle)
    if rates is not None:
        yield Sample(UTILIZATION, _NONE, rates.gpu / 100)
        yield Sample(MEMORY_ACTIVITY, _NONE, rates.memory / 100)


def _board(device: Device, wanted: frozenset[str]) -> Iterator[Sample]:
    handle = device.handle
    if TEMPERATURE in wanted:
        sensor = pynvml.NVML_TEMPERATURE_GPU
        celsius = nvml.offered(pynvml.nvmlDeviceGetTemperature, handle, sensor)
        if celsius is not None:
            yield Sample(TEMPERATURE, _NONE, celsius)
    if POWER in wanted:
        milliwatts = nvml.offered(pynvml.nvmlDeviceGetPowerUsage, handle)
        if milliwatts is not None:
            yield Sample(POWER, _NONE, milliwatts / 1000)
    if POWER_LIMIT in wanted and (limit := nvml.power_limit_watts(device)) is not None:
        yield Sample(POWER_LIMIT, _NONE, limit)
    if CLOCK in wanted:
        yield from _clocks(handle)
    if THROTTLED in wanted and (active := _reasons(handle)) is not None:
        for reason, bit in _REASONS.items():
            yield Sample(THROTTLED, {"reason": reason}, float(bool(active & bit)))
    if ECC in wanted:
        yield from _ecc(handle)


def _clocks(handle: Any) -> Iterator[Sample]:
    for clock, kind in (("sm", pynvml.NVML_CLOCK_SM), ("memory", pynvml.NVML_CLOCK_MEM)):
        megahertz = nvml.offered(pynvml.nvmlDeviceGetClockInfo, handle, kind)
        if megahertz is not None:
            yield Sample(CLOCK, {"clock": clock}, megahertz * 1e6)


def _ecc(handle: Any) -> Iterator[Sample]:
    counted = pynvml.NVML_VOLATILE_ECC
    for name, kind in (
        ("corrected", pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
        ("uncorrected", pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
    ):
        errors = nvml.offered(pynvml.nvmlDeviceGetTotalEccErrors, handle, kind, counted)
        if errors is not None:
            yield Sample(ECC, {"kind": name}, errors)


def _reasons(handle: Any) -> int | None:
    """Give why clocks are held down, as bits; the call got another name with driver 535."""
    found = nvml.offered(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    if found is None:
        found = nvml.offered(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return None if found is None else int(found)


def _fields(device: Device, wanted: frozenset[str]) -> Iterator[Sample]:
    fields = [field for field in _FIELDS if field.name in wanted]
    if not fields:
        return
    asked = [(field.identifier, field.scope) for field in fields]
    read = nvml.offered(pynvml.nvmlDeviceGetFieldValues, device.handle, asked)
    if read is None:
        if ENERGY in wanted and (joules := nvml.energy_joules(device)) is not None:
            yield Sample(ENERGY, _NONE, joules)
        return
    for field, found in zip(fields, read, strict=True):
        if found.nvmlReturn in _ABSENT:
            continue
        if found.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(found.nvmlReturn)
        value = getattr(found.value, _VALUES[found.valueType])
        yield Sample(field.name, field.labels, value * field.factor)


def _processes(device: Device) -> Iterator[Sample]:
    """Give the memory of each process, where the driver tells it; one that draws and computes once."""
    held: dict[int, int] = {}
    for read in (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        for process in nvml.offered(read, device.handle) or ():
            if process.usedGpuMemory is not None:
                held[process.pid] = max(process.usedGpuMemory, held.get(process.pid, 0))
    for pid, used in sorted(held.items()):
        yield Sample(PROCESS_MEMORY, {"pid": str(pid)}, used)
