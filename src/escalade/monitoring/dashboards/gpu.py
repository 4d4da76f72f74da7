"""The dashboard of GPUs: from our exporter, from DCGM's, or by the names of the swarm's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.monitoring.dashboards.board import INSTANCE, Board
from escalade.monitoring.dashboards.panels import WINDOW, Panel, Query, dial, figure, lines
from escalade.monitoring.promql import selector

if TYPE_CHECKING:
    from escalade.monitoring.limits import Bands, Limits

USED = "escalade_gpu_memory_used_bytes"
EVENTS = "escalade_cuda_fragmentation_events_total"
SWARM_EVENTS = "swarm_cuda_fragmentation_events_total"
_MEBIBYTE = 1024**2
_GPU = "GPU {{gpu}} {{instance}}"


def gpu_board(limits: Limits, bands: Bands) -> Board:
    """Lay the dashboard out.

    Parameters
    ----------
    limits
        Where too little memory is free.
    bands
        When memory and temperature are yellow and red.
    """
    board = Board(
        "escalade-gpu",
        "Escalade: GPUs",
        "Memory, temperature, power and use of each GPU. What the hardware does not offer is not "
        "shown; a GPU that several exporters show counts once.",
    )
    board.choose_instance(USED, "DCGM_FI_DEV_FB_USED", "swarm_vram_used_bytes")
    board.row("Memory and temperature")
    for panel in (_memory_dial(bands), _temperature(bands), _fragmentation()):
        board.add(panel, 8)
    for panel in (_memory(), _free(limits), _events()):
        board.add(panel, 8)
    board.row("Use and power")
    for panel in (_use(), _power(), _clocks()):
        board.add(panel, 8)
    board.row("PyTorch's memory, and readings")
    board.add(_pieces(), 12, height=6)
    board.add(_errors(), 12, height=6)
    return board


def _of(name: str) -> str:
    return selector(name, INSTANCE)


def _dcgm(expression: str, own: str = USED) -> str:
    """Give what DCGM's exporter says of the GPUs that ours does not show."""
    named = f'label_replace({expression}, "uuid", "$1", "UUID", "(.+)")'
    return f"{named} unless on (uuid) {own}"


def _used() -> tuple[Query, ...]:
    return (
        Query(_of(USED), _GPU),
        Query(_dcgm(f"{_of('DCGM_FI_DEV_FB_USED')} * {_MEBIBYTE}"), _GPU),
        Query(f"{_of('swarm_vram_used_bytes')} unless on (instance) {USED}", _GPU),
    )


def _memory_dial(bands: Bands) -> Panel:
    yellow, red = (f"{value / 1e9:g}" for value in bands.vram_bytes)
    return dial(
        "VRAM used",
        f"Memory of each GPU that is in use. Yellow from {yellow} GB, red from {red} GB.",
        "decbytes",
        *_used(),
        band=bands.vram_bytes,
    )


def _temperature(bands: Bands) -> Panel:
    yellow, red = (f"{value:g}" for value in bands.temperature_celsius)
    own = "escalade_gpu_temperature_celsius"
    return dial(
        "Temperature",
        f"Of the die. Yellow from {yellow} °C, red from {red} °C: clocks fall there.",
        "celsius",
        Query(_of(own), _GPU),
        Query(_dcgm(_of("DCGM_FI_DEV_GPU_TEMP"), own), _GPU),
        Query(f"{_of('swarm_gpu_temp_celsius')} unless on (instance) {own}", _GPU),
        band=bands.temperature_celsius,
    )


def _fragmentation() -> Panel:
    return figure(
        "CUDA fragmentation events",
        "Events in the time that is shown: an allocation failed although enough memory was free, in "
        "pieces. The service itself counts them; the driver can't.",
        "short",
        *_grown("increase", "$__range", 'kind="oom"'),
        red_from=1.0,
    )


def _grown(function: str, window: str, *matchers: str) -> tuple[Query, ...]:
    """Ask for events by the service's own names; by the swarm's where it has no others."""
    theirs = f"{function}({_of(SWARM_EVENTS)}[{window}]) unless on (instance) {EVENTS}"
    return (
        Query(
            f"{function}({selector(EVENTS, INSTANCE, *matchers)}[{window}])",
            "{{kind}}: device {{device}} {{instance}}",
        ),
        Query(theirs, "{{instance}}"),
    )


def _memory() -> Panel:
    return lines("VRAM over time", "Memory of each GPU that is in use.", "decbytes", *_used())


def _free(limits: Limits) -> Panel:
    own = f"{_of('escalade_gpu_memory_free_bytes')} / {_of('escalade_gpu_memory_total_bytes')}"
    free, used = _of("DCGM_FI_DEV_FB_FREE"), _of("DCGM_FI_DEV_FB_USED")
    return lines(
        "VRAM that is free",
        f"Share of each GPU's memory. Below {limits.vram_free_ratio:.0%} no model should be added. "
        "An engine that takes its memory at the start, as vLLM does, is always low here.",
        "percentunit",
        Query(own, _GPU),
        Query(_dcgm(f"{free} / ({free} + {used})"), _GPU),
        limit=limits.vram_free_ratio,
        above=False,
        most=1.0,
    )


def _events() -> Panel:
    return lines(
        "Fragmentation over time",
        "Fragmentation events per second: oom, the allocation failed; retry, it succeeded when it was "
        "tried again.",
        "cps",
        *_grown("rate", WINDOW),
    )


def _pieces() -> Panel:
    return lines(
        "CUDA memory idle in pieces",
        "Share of the memory that PyTorch has reserved which is idle and can't be given back.",
        "percentunit",
        Query(_of("escalade_cuda_allocator_fragmentation_ratio"), "device {{device}} {{instance}}"),
        most=1.0,
    )


def _use() -> Panel:
    own = "escalade_gpu_utilization_ratio"
    return lines(
        "GPU in use",
        "Share of the time in which a kernel ran, however small: 100 % does not mean full.",
        "percentunit",
        Query(_of(own), _GPU),
        Query(_dcgm(f"{_of('DCGM_FI_DEV_GPU_UTIL')} / 100", own), _GPU),
        most=1.0,
    )


def _power() -> Panel:
    own = "escalade_gpu_power_watts"
    return lines(
        "Power",
        "Of the board, with the limit that is in force.",
        "watt",
        Query(_of(own), _GPU),
        Query(_of("escalade_gpu_power_limit_watts"), f"limit of {_GPU}"),
        Query(_dcgm(_of("DCGM_FI_DEV_POWER_USAGE"), own), _GPU),
    )


def _clocks() -> Panel:
    own = "escalade_gpu_clock_hertz"
    return lines(
        "Clocks",
        "A clock that falls under load means heat or a power limit.",
        "hertz",
        Query(_of(own), "{{clock}} of GPU {{gpu}} {{instance}}"),
        Query(_dcgm(f"{_of('DCGM_FI_DEV_SM_CLOCK')} * 1e6", own), f"sm of {_GPU}"),
    )


def _errors() -> Panel:
    return lines(
        "Readings that failed",
        "Scrapes per second in which a GPU could not be read: it has no samples then.",
        "cps",
        Query(
            f"rate({_of('escalade_gpu_errors_total')}[{WINDOW}])",
            "{{error}}: GPU {{gpu}} {{instance}}",
        ),
    )
