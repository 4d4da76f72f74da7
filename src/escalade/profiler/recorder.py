"""The recorder of one node: `python -m escalade.profiler.recorder FILE NODE INTERVAL_MS …`.

Reads the GPUs at fixed times and appends to a recording once a second. A tick that can't be kept is
left out and counted: readings are never bunched, and none gets another time than its own.
"""

from __future__ import annotations

import argparse
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pynvml

from escalade.errors import EscaladeError, InfrastructureError
from escalade.gpu import nvml
from escalade.gpu.readings import samples
from escalade.profiler.reading import column_of, metrics
from escalade.profiler.recording import RecordingFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escalade.gpu.nvml import Device
    from escalade.profiler.recording import Row

_COMMIT_SECONDS = 1.0
_MOST_ROWS = 200_000


class Recorder:
    """Reads on a schedule, and writes once a second.

    Parameters
    ----------
    file
        The recording.
    devices
        The GPUs.
    interval
        Between two readings, in seconds.
    wanted
        Names of metrics to read.
    say
        Gets one line for what goes wrong, and for its end.
    """

    def __init__(
        self,
        file: RecordingFile,
        devices: Sequence[Device],
        interval: float,
        wanted: frozenset[str],
        say: Callable[[str], object],
    ) -> None:
        self._file = file
        self._devices = devices
        self._interval = interval
        self._wanted = wanted
        self._say = say
        self._rows: list[Row] = []
        self._failing = False
        self.late = 0
        """Ticks that were left out."""
        self.lost = 0
        """Readings that could not be written."""
        self.written = 0
        """Readings that were written."""

    def run(self, ended: threading.Event, seconds: float | None) -> None:
        """Record until `ended`, or for so long."""
        start = time.monotonic()
        tick, commit = 0, start + _COMMIT_SECONDS
        while seconds is None or tick * self._interval < seconds:
            if ended.wait(max(0.0, start + tick * self._interval - time.monotonic())):
                break
            self._read()
            if time.monotonic() >= commit:
                self._write()
                commit = time.monotonic() + _COMMIT_SECONDS
            following = max(tick + 1, int((time.monotonic() - start) / self._interval))
            self.late += following - tick - 1
            tick = following
        self._write()
        self.lost += len(self._rows)

    def _read(self) -> None:
        for device in self._devices:
            at = round(time.time(), 3)
            values = {}
            try:
                for sample in samples(device, processes=False, only=self._wanted):
                    if (name := column_of(sample.name, sample.labels)) is not None:
                        values[name] = sample.value
            except pynvml.NVMLError:  # lost: a gap, and no half of a GPU
                continue
            self._rows.append((at, device.uuid, device.index, device.name, values))

    def _write(self) -> None:
        try:
            self._file.add(self._rows, self.late)
        except sqlite3.Error as error:
            if not self._failing:
                self._say(
                    f"readings can't be written ({error}); they are kept in memory for a while"
                )
            self._failing = True
            self.lost += max(0, len(self._rows) - _MOST_ROWS)
            del self._rows[: max(0, len(self._rows) - _MOST_ROWS)]
            return
        if self._failing:
            self._say(f"written again; {self.lost} readings are lost")
        self._failing = False
        self.written += len(self._rows)
        self._rows.clear()


def main(arguments: Sequence[str] | None = None) -> int:
    """Record until SIGTERM or SIGINT.

    Returns
    -------
    int
        Exit code: 0, or that of what went wrong.
    """
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        _record(options, ended)
    except EscaladeError as error:
        sys.stderr.write(f"escalade: {error}\n")
        return error.exit_code
    return 0


def _record(options: argparse.Namespace, ended: threading.Event) -> None:
    found, note = nvml.gpus()
    if not found:
        raise InfrastructureError(f"{note} Run this where there is a GPU.")
    facts = {
        "node": options.node,
        "interval_ms": options.interval_ms,
        "bandwidth": options.bandwidth,
        "nvlink": options.nvlink,
    }
    path = Path(options.file)
    try:
        file = RecordingFile(path, facts, exclusive=options.exclusive)
    except (sqlite3.Error, OSError) as error:
        raise InfrastructureError(
            f"{path} can't be written: {error}. Name a file on another disk by --out."
        ) from error
    with nvml.opened():
        devices = nvml.devices()[0]
        wanted = metrics(bandwidth=options.bandwidth, nvlink=options.nvlink)
        recorder = Recorder(file, devices, options.interval_ms / 1000, wanted, _say)
        _say(
            f"{options.node}: {len(devices)} GPUs, read every {options.interval_ms} ms into {path}"
        )
        recorder.run(ended, options.seconds)
    file.close()
    words = f"ended: {recorder.written} readings, {recorder.late} ticks left out"
    _say(words + (f", {recorder.lost} readings lost" if recorder.lost else ""))


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recorder", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("node")
    parser.add_argument("interval_ms", type=int)
    parser.add_argument("--bandwidth", action="store_true")
    parser.add_argument("--nvlink", action="store_true")
    parser.add_argument(
        "--exclusive", action="store_true", help="no other process reads meanwhile: any file system"
    )
    parser.add_argument("--seconds", type=float)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
