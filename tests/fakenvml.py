"""The state of the fake NVML library, as a test sets it: layouts of tests/data/fakenvml/fakenvml.c."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MAX_GPUS, MAX_PROCESSES, MAX_SLICES, MAX_SYMBOLS, MAX_FAULTS = 8, 8, 4, 96, 4


class Offers(IntFlag):
    """What a model has; the rest is NOT_SUPPORTED."""

    UTILIZATION = 1
    MEMORY_V2 = 2
    TEMPERATURE = 4
    POWER = 8
    POWER_LIMIT = 16
    ENERGY = 32
    CLOCKS = 64
    PEAKS = 128
    ECC = 256
    NVLINK = 512
    PCIE_COUNTERS = 1024
    PROCESSES = 2048
    REASONS = 4096
    MEMORY_TEMPERATURE = 8192
    MIG = 16384
    FAN = 32768
    EVENTS = 65536
    FIELDS = 131072


BASIC = Offers(255)
"""What the first readers of these GPUs asked for, and no counter but that of energy."""
EVERYTHING = ~Offers(0)
_GEFORCE = EVERYTHING & ~(Offers.ECC | Offers.NVLINK | Offers.MIG | Offers.MEMORY_TEMPERATURE)


@dataclass(frozen=True)
class Model:
    """A model of GPU, with what it lacks by NVIDIA's documentation."""

    name: str
    memory_bytes: int
    watts: int
    offered: Offers
    links: int = 0


MODELS = {
    "a100": Model("NVIDIA A100-SXM4-80GB", 80 << 30, 400, EVERYTHING & ~Offers.FAN, 12),
    "h100": Model("NVIDIA H100 80GB HBM3", 80 << 30, 700, EVERYTHING & ~Offers.FAN, 18),
    "rtx_4070": Model("NVIDIA GeForce RTX 4070", 12 << 30, 200, _GEFORCE),
    "gtx_1080": Model(
        "NVIDIA GeForce GTX 1080",
        8 << 30,
        180,
        _GEFORCE & ~(Offers.ENERGY | Offers.PCIE_COUNTERS),
    ),
}
"""Pascal counts no energy; GeForce has no ECC, no NVLink (since the RTX 30) and no MIG."""


class Shape(IntEnum):
    CONSTANT = 0
    SINE = 1
    SQUARE = 2
    SAW = 3


class Of(IntEnum):
    """Which figure a wave moves."""

    UTILIZATION = 0
    MEMORY = 1
    POWER = 2
    TEMPERATURE = 3
    SM_CLOCK = 4
    MEMORY_CLOCK = 5
    PCIE_OUT = 6
    PCIE_IN = 7
    LINK_OUT = 8
    LINK_IN = 9


class Wave(ctypes.Structure):
    _fields_ = (
        ("amplitude", ctypes.c_double),
        ("period", ctypes.c_double),
        ("phase", ctypes.c_double),
        ("kind", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
    )


class Process(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint32),
        ("graphics", ctypes.c_uint32),
        ("memory", ctypes.c_uint64),
    )


class Slice(ctypes.Structure):
    """A MIG device."""

    _fields_ = (
        ("uuid", ctypes.c_char * 64),
        ("memory_total", ctypes.c_uint64),
        ("memory_used", ctypes.c_uint64),
        ("instance", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
    )


class FakeGpu(ctypes.Structure):
    """One GPU; the names are those of fakenvml.c."""

    _fields_ = (
        ("name", ctypes.c_char * 64),
        ("uuid", ctypes.c_char * 64),
        ("memory_total", ctypes.c_uint64),
        ("memory_used", ctypes.c_uint64),
        ("memory_reserved", ctypes.c_uint64),
        ("energy_mj", ctypes.c_uint64),
        ("utilization_percent", ctypes.c_uint32),
        ("temperature", ctypes.c_uint32),
        ("power_mw", ctypes.c_uint32),
        ("power_limit_mw", ctypes.c_uint32),
        ("sm_mhz", ctypes.c_uint32),
        ("memory_mhz", ctypes.c_uint32),
        ("offered", ctypes.c_uint32),
        ("error", ctypes.c_uint32),
        ("fail_after", ctypes.c_uint32),
        ("bus_bits", ctypes.c_uint32),
        ("cores", ctypes.c_uint32),
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("delay_us", ctypes.c_uint32),
        ("pcie_out", ctypes.c_uint64),
        ("pcie_in", ctypes.c_uint64),
        ("link_out", ctypes.c_uint64),
        ("link_in", ctypes.c_uint64),
        ("ecc_corrected", ctypes.c_uint64),
        ("ecc_uncorrected", ctypes.c_uint64),
        ("reasons", ctypes.c_uint64),
        ("processes", ctypes.c_uint32),
        ("slices", ctypes.c_uint32),
        ("links", ctypes.c_uint32),
        ("xid", ctypes.c_uint32),
        ("since", ctypes.c_double),
        ("waves", Wave * len(Of)),
        ("process", Process * MAX_PROCESSES),
        ("slice", Slice * MAX_SLICES),
    )

    def wave(
        self, of: Of, kind: Shape, amplitude: float, period: float, phase: float = 0.0
    ) -> None:
        """Have a figure move around its base; in mW, MHz, bytes, °C, % or bytes/s as that is."""
        self.waves[of] = Wave(amplitude, period, phase, kind)

    def runs(self, *found: tuple[int, int]) -> None:
        """Have compute processes of these ids hold so many bytes."""
        self.processes = len(found)
        for place, (pid, memory) in enumerate(found):
            self.process[place] = Process(pid, 0, memory)


class Count(ctypes.Structure):
    _fields_ = (("symbol", ctypes.c_char * 56), ("calls", ctypes.c_uint64))


class Fault(ctypes.Structure):
    _fields_ = (
        ("symbol", ctypes.c_char * 56),
        ("gpu", ctypes.c_uint32),
        ("error", ctypes.c_uint32),
    )


class State(ctypes.Structure):
    """All that the library answers."""

    _fields_ = (
        ("count", ctypes.c_uint32),
        ("init_error", ctypes.c_uint32),
        ("manual_clock", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("now", ctypes.c_double),
        ("pcie_block_us", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
        ("fault", Fault * MAX_FAULTS),
        ("counts", Count * MAX_SYMBOLS),
        ("gpus", FakeGpu * MAX_GPUS),
    )
