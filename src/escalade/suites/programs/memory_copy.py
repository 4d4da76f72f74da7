"""Bytes copied per second, within the host's memory, on a GPU, or between both.

The host's copies are numpy's, on one core. Those of a GPU go through the CUDA driver's own
library, which is there wherever its driver is; the host's side is pinned, and an iteration
ends when the GPU says that the copy is done.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING

import numpy as np

from escalade.suites.programs import pacing

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = ("host", "to_gpu", "from_gpu", "on_gpu")
_LIBRARY = "libcuda.so.1"


def main() -> None:
    """Print the rate of each copy, in bytes/s."""
    parser = pacing.parser("memory_copy", "Copy a block of memory.")
    parser.add_argument("--route", default="host", choices=ROUTES)
    parser.add_argument("--bytes", type=int, default=64 * 2**20, help="of one copy")
    parser.add_argument("--library", default=_LIBRARY, help="the CUDA driver's")
    options = parser.parse_args()
    copy = _on_host(options.bytes) if options.route == "host" else _with_gpu(options)

    def once() -> float:
        began = time.perf_counter()
        copy()
        seconds = time.perf_counter() - began
        return float(options.bytes / seconds)

    pacing.measure(options, once)


def _on_host(size: int) -> Callable[[], None]:
    try:
        source, target = np.ones(size, dtype=np.uint8), np.zeros(size, dtype=np.uint8)
    except MemoryError:
        pacing.unavailable(f"there is not enough memory for two blocks of {size} bytes")
    copy = np.copyto

    def once() -> None:
        copy(target, source)

    return once


def _with_gpu(options: object) -> Callable[[], None]:
    size, route = int(options.bytes), str(options.route)  # type: ignore[attr-defined]
    driver = _Driver(str(options.library))  # type: ignore[attr-defined]
    first = driver.on_gpu(size)
    if route == "on_gpu":
        return driver.copying("cuMemcpyDtoD_v2", driver.on_gpu(size), first, size)
    host = driver.on_host(size)
    if route == "to_gpu":
        return driver.copying("cuMemcpyHtoD_v2", first, host, size)
    return driver.copying("cuMemcpyDtoH_v2", host, first, size)


class _Driver:
    """The first GPU, by the CUDA driver's library."""

    def __init__(self, library: str) -> None:
        try:
            self._cuda = ctypes.CDLL(library)
        except OSError as error:
            pacing.unavailable(f"no CUDA driver: {error}")
        self._first("cuInit", ctypes.c_uint(0))
        device, context, count = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_int()
        self._first("cuDeviceGetCount", ctypes.byref(count))
        if count.value < 1:
            pacing.unavailable("the CUDA driver shows no GPU")
        self._first("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self._first("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._first("cuCtxSetCurrent", context)

    def on_gpu(self, size: int) -> ctypes.c_uint64:
        """Take a block of the GPU's memory."""
        place = ctypes.c_uint64()
        self._first("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(size))
        return place

    def on_host(self, size: int) -> ctypes.c_void_p:
        """Take a pinned block of the host's memory, and fill it."""
        place = ctypes.c_void_p()
        self._first("cuMemAllocHost_v2", ctypes.byref(place), ctypes.c_size_t(size))
        ctypes.memset(place, 1, size)
        return place

    def copying(
        self,
        function: str,
        target: ctypes.c_uint64 | ctypes.c_void_p,
        source: ctypes.c_uint64 | ctypes.c_void_p,
        size: int,
    ) -> Callable[[], None]:
        """Give what copies once and waits until it is done."""
        copy, wait, length = (
            self._cuda[function],
            self._cuda.cuCtxSynchronize,
            ctypes.c_size_t(size),
        )

        def once() -> None:
            code = copy(target, source, length) or wait()
            if code:
                pacing.fail(f"{function}: {self._words(code)}")

        return once

    def _first(self, function: str, *arguments: object) -> None:
        """Call something without which there is nothing to measure."""
        code = self._cuda[function](*arguments)
        if code:
            pacing.unavailable(f"{function}: {self._words(code)}")

    def _words(self, code: int) -> str:
        words = ctypes.c_char_p()
        self._cuda.cuGetErrorString(ctypes.c_int(code), ctypes.byref(words))
        return (words.value or b"unknown error").decode(errors="replace") + f" ({code})"


if __name__ == "__main__":
    pacing.run(main)
