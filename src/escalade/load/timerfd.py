"""The kernel's timers as file descriptors, which event loops can wait for.

Loops built on epoll's timeout are late by up to a millisecond; a timerfd by about a
tenth of that. From Python 3.13 on, `os` has these calls itself.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time

_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_LIBC = ctypes.CDLL(None, use_errno=True)


def create() -> int:
    """Make a timer on CLOCK_MONOTONIC; the caller closes the descriptor.

    Raises
    ------
    OSError
        When the process has no descriptor left.
    """
    fd: int = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"timerfd_create: {os.strerror(number)}")
    return fd


def arm(fd: int, when: float) -> None:
    """Make `fd` readable once `time.monotonic()` is `when`; a past time does at once."""
    seconds = int(when)
    setting = struct.pack("qqqq", 0, 0, seconds, max(1, int((when - seconds) * 1e9)))
    _LIBC.timerfd_settime(fd, _ABSOLUTE, setting, None)


def clear(fd: int) -> None:
    """Take the expiry, so that `fd` is readable again only after the next one."""
    os.read(fd, 8)
