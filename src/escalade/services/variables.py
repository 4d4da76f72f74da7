"""Environment variables of a service that belong to its measurement, wherever they were set."""

from __future__ import annotations

import contextlib
from pathlib import Path

from escalade.gpu.fragmentation import CONF_VARIABLES
from escalade.runtime.processes import descendants, snapshot

RECORDED = CONF_VARIABLES
"""A recipe may set them, and so may the shell that a campaign was started from, or an image."""


def recorded_variables(pid: int) -> dict[str, str]:
    """Read them from a service's processes on this node.

    Parameters
    ----------
    pid
        The first of them.

    Returns
    -------
    dict
        Name to value, of the process that was started last of those that have it: a container's own
        settings are those of its inner processes. {} where none has any.
    """
    table = snapshot()
    found: dict[str, str] = {}
    for each in sorted(
        {pid, *descendants([pid], table)} & {*table}, key=lambda one: table[one].start_time
    ):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            found |= _read(each)
    return found


def _read(pid: int) -> dict[str, str]:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    pairs = (word.decode(errors="replace").partition("=") for word in words)
    return {name: value for name, _, value in pairs if name in RECORDED and value}
