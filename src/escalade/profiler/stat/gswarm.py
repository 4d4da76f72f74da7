"""Files that gswarm 0.4.3 wrote: all numbers are texts, and some are not what they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.errors import InputError
from escalade.profiler.stat.rows import Facts, unix

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNITS = {
    "gpu_util": "percent",
    "gpu_memory": "ratio",
    "dram_bandwidth": "KiB/s",
    "dram_bandwidth_rx": "KiB/s",
    "dram_bandwidth_tx": "KiB/s",
    "gpu_bandwidth": "KiB/s",
}
_NOTES = (
    "Written by gswarm 0.4.3; the values are shown as the file has them.",
    "gpu_memory is a ratio from 0 to 1 in steps of 0.01, not the percentage of its documentation.",
    (
        "Bandwidths are KiB/s, not the GB/s of its documentation; dram_bandwidth_rx and _tx are swapped, "
        "and what came in over NVLink is always 0."
    ),
    (
        "Times are those of the head's clock without a zone, once a second whatever the interval was: a "
        "value may be half a second older than its frame."
    ),
)
_MARKS = ("summary_by_client", "request_time_info")


def wrote(head: Mapping[str, Any], frame: Mapping[str, Any] | None) -> bool:
    """Say whether a file is of this kind, by what stands before its frames and by the first."""
    return any(name in head for name in _MARKS) or (frame is not None and "disk_util" in frame)


def facts(path: Path) -> Facts:
    """Give what such a file says of its session, which is little."""
    return Facts(path.stem, "gswarm 0.4.3", None, None, None, _UNITS, "clock of its head", _NOTES)


def frame(found: Mapping[str, Any], number: int, path: Path) -> dict[str, Any]:
    """Give a frame in the form of ours.

    Parameters
    ----------
    found
        The frame.
    number
        Its place in the file.
    path
        For messages.
    """
    names = found.get("gpu_id")
    if not isinstance(names, list):
        raise InputError(f"{path}, frame {number}: expected gpu_id, a list.")
    time = unix(found.get("time"), path, f"frame {number}: time")
    columns = {name: found.get(name) for name in _UNITS}
    return {
        "frame_id": number,
        "gpu_id": names,
        "timestamp": [time] * len(names),
        # A bandwidth that was not asked for is an empty list.
        **{name: column or None for name, column in columns.items()},
    }
