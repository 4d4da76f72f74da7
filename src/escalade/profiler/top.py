"""The live view: what all GPUs of all nodes show now, with a little of their past.

Pure: answers of a head go in, something that rich can draw comes out.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from escalade.profiler.head.told import ClientTold, GpuTold, Latest, Status

BARS = "▁▂▃▄▅▆▇█"
_STALE_SECONDS = 5.0
_HISTORY = 120
_HEADER_LINES = 4
_NARROW = 100
_GIB = 1 << 30
_GIGA = 1e9


@dataclass
class History:
    """The use of one GPU at the last looks; None where nothing new had come."""

    shares: deque[float | None] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    last: float = 0.0

    def add(self, gpu: GpuTold) -> None:
        """Take what a look has shown."""
        use = gpu.values.get("utilization_ratio")
        self.shares.append(use if gpu.time > self.last else None)
        self.last = max(self.last, gpu.time)


def sparkline(shares: Iterable[float | None], width: int) -> str:
    """Draw shares of 0 to 1 as bars, the newest at the right; what is missing is blank.

    Examples
    --------
    >>> sparkline([0.0, 0.5, None, 1.0], 6)
    '  ▁▅ █'
    """
    signs = [" " if it is None else BARS[max(0, min(7, int(it * 8)))] for it in shares]
    return "".join(signs)[-width:].rjust(width) if width > 0 else ""


class View:
    """What was seen of a head so far."""

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        self._latest: Latest | None = None
        self._clients: Sequence[ClientTold] = ()
        self._status: Status | None = None
        self._lost_since: float | None = None
        self._why = ""

    def show(self, status: Status, clients: Sequence[ClientTold], latest: Latest) -> None:
        """Take what a head answered."""
        self._status, self._clients, self._latest = status, clients, latest
        self._lost_since = None
        for gpu in latest.gpus:
            self._histories.setdefault(gpu.gpu_id, History()).add(gpu)

    def lose(self, why: str, now: float | None = None) -> None:
        """Take note that the head does not answer; what was seen stays."""
        if self._lost_since is None:
            self._lost_since = time.time() if now is None else now
        self._why = why

    def drawn(self, address: str, width: int, height: int) -> RenderableType:
        """Draw it for a screen of so many columns and lines.

        Where the GPUs have no room, each node has one line with the mean of its GPUs.
        """
        lines: list[RenderableType] = [self._headline(address, width)]
        for words in self._troubles():
            trouble = Text(words, style="bold red", no_wrap=True)
            trouble.truncate(width, overflow="ellipsis")
            lines.append(trouble)
        gpus = [] if self._latest is None else self._latest.gpus
        if not gpus:
            lines.append(Text("No GPU has been read yet."))
        elif len(gpus) + _HEADER_LINES + len(lines) <= height:
            lines.append(self._by_gpu(gpus, width))
        else:
            lines.append(self._by_node(gpus, width))
        return Group(*lines)

    def _headline(self, address: str, width: int) -> Text:
        words = [f"head {address}"]
        if self._status is not None:
            told = self._status
            words.append(f"every {told.interval_ms} ms")
            words.append(f"{told.healthy} of {told.clients} nodes healthy")
            names = ", ".join(session.name for session in told.sessions)
            words.append(f"sessions: {names or 'none'}")
        text = Text(" · ".join(words), style="bold", no_wrap=True, overflow="ellipsis")
        text.truncate(width, overflow="ellipsis")
        return text

    def _troubles(self) -> list[str]:
        said = []
        if self._lost_since is not None:
            for_seconds = time.time() - self._lost_since
            said.append(f"The head has not answered for {for_seconds:.0f} s: {self._why}")
        for client in self._clients:
            if not client.healthy and not client.left:
                ago = (
                    "ever" if client.last_sample is None else _ago(time.time() - client.last_sample)
                )
                said.append(f"UNHEALTHY {client.node}: nothing for {ago}")
        return said

    def _by_gpu(self, gpus: Sequence[GpuTold], width: int) -> Table:
        wide = width >= _NARROW
        table = _table()
        table.add_column("GPU", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column("use", justify="right", no_wrap=True)
        table.add_column("last looks", no_wrap=True)
        table.add_column("memory GiB", justify="right", no_wrap=True)
        table.add_column("W", justify="right", no_wrap=True)
        table.add_column("°C", justify="right", no_wrap=True)
        if wide:
            table.add_column("PCIe in/out GB/s", justify="right", no_wrap=True)
            table.add_column("NVLink GB/s", justify="right", no_wrap=True)
        for gpu in gpus:
            values = gpu.values
            stale = gpu.age_seconds > _STALE_SECONDS
            spark = sparkline(self._histories[gpu.gpu_id].shares, 24 if wide else 10)
            cells = [
                f"{gpu.node}:{gpu.gpu}" + (f"  {gpu.name}" if wide else ""),
                _percent(values.get("utilization_ratio")),
                f"{_ago(gpu.age_seconds)} old" if stale else spark,
                _memory(values),
                _whole(values.get("power_watts")),
                _whole(values.get("temperature_celsius")),
            ]
            if wide:
                cells += [_pair(values, "pcie"), _sum(values, "nvlink")]
            table.add_row(*map(Text, cells), style="dim" if stale else None)
        return table

    def _by_node(self, gpus: Sequence[GpuTold], width: int) -> Table:
        table = _table()
        table.add_column("node", no_wrap=True, overflow="ellipsis", ratio=1)
        for name in ("GPUs", "use", "least", "most"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("now, by GPU", no_wrap=True)
        table.add_column("W", justify="right", no_wrap=True)
        for node in dict.fromkeys(gpu.node for gpu in gpus):
            own = [gpu for gpu in gpus if gpu.node == node]
            uses = [gpu.values.get("utilization_ratio") for gpu in own]
            known = [use for use in uses if use is not None]
            powers = [gpu.values.get("power_watts") for gpu in own]
            stale = min(gpu.age_seconds for gpu in own) > _STALE_SECONDS
            cells = [
                node,
                str(len(own)),
                _percent(sum(known) / len(known) if known else None),
                _percent(min(known, default=None)),
                _percent(max(known, default=None)),
                sparkline(uses, min(len(uses), max(4, width // 6))),
                _whole(None if None in powers else sum(it for it in powers if it is not None)),
            ]
            table.add_row(*map(Text, cells), style="dim" if stale else None)
        return table


def plain(latest: Latest) -> str:
    """Give one line for a screen that is none."""
    uses = [
        gpu.values["utilization_ratio"] for gpu in latest.gpus if "utilization_ratio" in gpu.values
    ]
    powers = [gpu.values["power_watts"] for gpu in latest.gpus if "power_watts" in gpu.values]
    mean = f"{100 * sum(uses) / len(uses):.0f} % in use" if uses else "use not known"
    watts = f", {sum(powers):,.0f} W" if powers else ""
    at = time.strftime("%H:%M:%S", time.localtime(latest.time))
    return f"{at} {len(latest.gpus)} GPUs, {mean}{watts}"


def _table() -> Table:
    return Table(box=None, pad_edge=False, expand=True, header_style="bold")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _memory(values: dict[str, float]) -> str:
    used, total = values.get("memory_used_bytes"), values.get("memory_total_bytes")
    if used is None:
        return ""
    return f"{used / _GIB:.1f}" + ("" if total is None else f" of {total / _GIB:.0f}")


def _rate(values: dict[str, float], name: str) -> float | None:
    rate = values.get(f"{name}_bytes_per_second")
    return None if rate is None else rate / _GIGA


def _pair(values: dict[str, float], line: str) -> str:
    received, sent = _rate(values, f"{line}_received"), _rate(values, f"{line}_sent")
    return "" if received is None or sent is None else f"{received:.2f} / {sent:.2f}"


def _sum(values: dict[str, float], line: str) -> str:
    received, sent = _rate(values, f"{line}_received"), _rate(values, f"{line}_sent")
    return "" if received is None or sent is None else f"{received + sent:.2f}"


def _ago(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
