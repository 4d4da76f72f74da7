"""Sixty-four nodes that only write: what the head's processes take of a core."""

from __future__ import annotations

import http.client
import struct
import time
from typing import TYPE_CHECKING

import psutil

from escalade.profiler.reading import FIGURES
from profiling import Rig

if TYPE_CHECKING:
    from pathlib import Path

NODES, GPUS = 64, 8


def head_share(folder: Path, seconds: float) -> tuple[float, str]:
    """Write what 64 nodes of 8 GPUs read once a second; give the head's share of a core."""
    rig = Rig(folder, freq=1000, options=("--enable-bandwidth", "--enable-nvlink"))
    folder.mkdir()
    try:
        head = rig.head()
        line = http.client.HTTPConnection(*rig.address.split(":"), timeout=30)  # type: ignore[arg-type]
        pages = [_series(f"node{number}") for number in range(NODES)]
        _write(line, pages)  # series are made once
        root = psutil.Process(head.process.pid)
        before, began = _cpu(root), time.monotonic()
        for second in range(1, round(seconds) + 1):
            time.sleep(max(0.0, began + second - time.monotonic()))
            _write(line, pages)
        taken = time.monotonic() - began
        share = (_cpu(root) - before) / taken
    finally:
        rig.close()
    series = NODES * GPUS * len(FIGURES)
    return (
        share,
        f"{100 * share:.0f} % of a core ({series:,} series, {64 * round(seconds):,} requests)",
    )


def _cpu(root: psutil.Process) -> float:
    times = [it.cpu_times() for it in [root, *root.children(recursive=True)]]
    return sum(it.user + it.system for it in times)


def _write(line: http.client.HTTPConnection, pages: list[tuple[str, list[bytes]]]) -> None:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    now = int(time.time() * 1000)
    for node, series in pages:
        sample = _field(2, struct.pack("<Bd", 0x09, now / 7919) + b"\x10" + _number(now))
        body = b"".join(_field(1, labels + sample) for labels in series)
        line.request("POST", "/api/v1/write", _snappy(body), {**headers, "X-Escalade-Node": node})
        answer = line.getresponse()
        words = answer.read()
        if answer.status not in (200, 204):
            raise SystemExit(f"the head refused a block: {answer.status} {words!r}")


def _series(node: str) -> tuple[str, list[bytes]]:
    """Encode the labels of all series of a node (prometheus.WriteRequest)."""
    found = []
    for gpu in range(GPUS):
        for figure in FIGURES:
            labels = {
                "__name__": figure.metric,
                "gpu": str(gpu),
                "job": "profiler",
                "name": "NVIDIA H100 80GB HBM3",
                "node": node,
                "uuid": f"GPU-{node}-{gpu}",
                **figure.labels,
            }
            words = [
                _field(1, k.encode()) + _field(2, v.encode()) for k, v in sorted(labels.items())
            ]
            found.append(b"".join(_field(1, word) for word in words))
    return node, found


def _field(number: int, content: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _snappy(body: bytes) -> bytes:
    """Frame bytes as snappy literals: a valid block without compression."""
    pieces = [body[at : at + (1 << 16)] for at in range(0, len(body), 1 << 16)]
    literals = b"".join(b"\xf4" + struct.pack("<H", len(it) - 1) + it for it in pieces)
    return _number(len(body)) + literals
