"""The dashboard of nodes, from node_exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.monitoring.dashboards.board import INSTANCE, Board
from escalade.monitoring.dashboards.panels import WINDOW, Panel, Query, dial, lines
from escalade.monitoring.promql import rate, selector, total

if TYPE_CHECKING:
    from escalade.monitoring.limits import Bands

CPU = "node_cpu_seconds_total"


def node_board(bands: Bands) -> Board:
    """Lay the dashboard out.

    Parameters
    ----------
    bands
        When memory is yellow and red.
    """
    board = Board(
        "escalade-node",
        "Escalade: nodes",
        "CPU, memory, disks and network of each node, with all that runs there.",
    )
    board.choose_instance(CPU)
    board.row("CPU and memory")
    for panel in (_used_memory(bands), _busy(), _kinds()):
        board.add(panel, 8)
    board.add(_memory(), 12)
    board.add(_pressure(), 12)
    board.row("Disks and network")
    for panel in (_disks(), _space(), _network()):
        board.add(panel, 8)
    return board


def _of(name: str, *matchers: str) -> str:
    return selector(name, INSTANCE, *matchers)


def _used_memory(bands: Bands) -> Panel:
    used = f"{_of('node_memory_MemTotal_bytes')} - {_of('node_memory_MemAvailable_bytes')}"
    yellow, red = (f"{value / 1e9:g}" for value in bands.ram_bytes)
    return dial(
        "RAM used",
        f"Total less available memory. Yellow from {yellow} GB, red from {red} GB.",
        "decbytes",
        Query(used, "{{instance}}"),
        Query(_of("swarm_host_ram_used_bytes"), "{{instance}}"),
        band=bands.ram_bytes,
    )


def _busy() -> Panel:
    idle = rate(_of(CPU, 'mode="idle"'), WINDOW)
    return lines(
        "CPU in use",
        "Share of the CPU time in which the node was not idle; 100 % is all its cores.",
        "percentunit",
        Query(f"1 - avg by (instance) ({idle})", "{{instance}}"),
        most=1.0,
    )


def _kinds() -> Panel:
    spent = rate(_of(CPU, 'mode!="idle"'), WINDOW)
    return lines(
        "CPU time by kind",
        "Mean over the cores. `steal` is time that a hypervisor gave to others: figures of that "
        "time are not the node's own.",
        "percentunit",
        Query(f"avg by (mode) ({spent})", "{{mode}}"),
    )


def _memory() -> Panel:
    return lines(
        "Memory",
        "Available memory counts what the kernel can free at once, such as its page cache.",
        "decbytes",
        Query(_of("node_memory_MemAvailable_bytes"), "available {{instance}}"),
        Query(_of("node_memory_Cached_bytes"), "page cache {{instance}}"),
        Query(_of("node_memory_MemTotal_bytes"), "total {{instance}}"),
    )


def _pressure() -> Panel:
    asked = (
        Query(
            rate(_of(f"node_pressure_{kind}_waiting_seconds_total"), WINDOW),
            f"{kind} {{{{instance}}}}",
        )
        for kind in ("cpu", "memory", "io")
    )
    return lines(
        "Pressure",
        "Share of the time in which some process waited for CPU, memory or a disk.",
        "percentunit",
        *asked,
    )


def _disks() -> Panel:
    def bytes_per_second(kind: str) -> str:
        return total(rate(_of(f"node_disk_{kind}_bytes_total"), WINDOW), "instance", "device")

    return lines(
        "Disks",
        "Bytes read and written per second, by disk.",
        "Bps",
        Query(bytes_per_second("read"), "read {{device}} {{instance}}"),
        Query(bytes_per_second("written"), "written {{device}} {{instance}}"),
    )


def _space() -> Panel:
    real = 'fstype!~"tmpfs|squashfs"'
    free = f"{_of('node_filesystem_avail_bytes', real)} / {_of('node_filesystem_size_bytes', real)}"
    return lines(
        "Space that is free",
        "Share of each file system; a full one ends Prometheus and loses what is measured.",
        "percentunit",
        Query(free, "{{mountpoint}} {{instance}}"),
        limit=0.1,
        above=False,
        most=1.0,
    )


def _network() -> Panel:
    def bytes_per_second(kind: str) -> str:
        counted = _of(f"node_network_{kind}_bytes_total", 'device!="lo"')
        return total(rate(counted, WINDOW), "instance")

    return lines(
        "Network",
        "Bytes received and sent per second, without the loopback interface.",
        "Bps",
        Query(bytes_per_second("receive"), "received {{instance}}"),
        Query(bytes_per_second("transmit"), "sent {{instance}}"),
    )
