"""A machine with GPUs: unmodified NVML bindings on a library that a test compiles."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.runtime.endpoints import free_port, wait_http
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SOURCE = Path(__file__).parent / "data" / "fakenvml" / "fakenvml.c"
EVERYTHING = 255


class FakeGpu(ctypes.Structure):
    """Layout of `Gpu` in fakenvml.c."""

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
        ("unused", ctypes.c_uint32),
    )


class State(ctypes.Structure):
    """Layout of `State` in fakenvml.c."""

    _fields_ = (
        ("count", ctypes.c_uint32),
        ("init_error", ctypes.c_uint32),
        ("gpus", FakeGpu * 8),
    )


class Machine:
    """A machine whose GPUs a test sets, while programs read them."""

    def __init__(self, library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = folder / "nvml-state"
        path.write_bytes(bytes(ctypes.sizeof(State)))
        with path.open("r+b") as file:
            self.state = State.from_buffer(mmap.mmap(file.fileno(), 0))
        monkeypatch.setenv("FAKE_NVML_STATE", str(path))
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def add(self, **values: int) -> FakeGpu:
        gpu: FakeGpu = self.state.gpus[self.state.count]
        gpu.name = b"Fake H100"
        gpu.uuid = f"GPU-{self.state.count}0000000-aaaa".encode()
        gpu.offered = EVERYTHING
        for name, value in values.items():
            setattr(gpu, name, value)
        self.state.count += 1
        return gpu

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code where the fake library is what the loader finds."""
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
        )

    @contextlib.contextmanager
    def exporter(self, log: Path) -> Iterator[str]:
        """Give the URL of a running GPU exporter; it must end well."""
        port = free_port()
        argv = [sys.executable, "-m", "escalade.gpu.exporter", "--port", str(port)]
        with log.open("w") as opened, subprocess.Popen(argv, stderr=opened) as process:
            try:
                wait_http(f"http://127.0.0.1:{port}/metrics", 10, lambda: ended(process, log))
                yield f"http://127.0.0.1:{port}/metrics"
            finally:
                process.terminate()
        assert process.returncode == 0
        assert log.read_text() == ""


def ended(process: subprocess.Popen[bytes], log: Path) -> str | None:
    return None if process.poll() is None else log.read_text()


def build_library(folder: Path) -> Path:
    """Compile the fake NVML library into a folder; skip the test where there is no compiler."""
    if shutil.which("gcc") is None:
        require_or_skip("gcc", "no gcc to compile the fake NVML library with")
    built = folder / "libnvidia-ml.so.1"
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run(["gcc", *flags, "-o", built, SOURCE], check=True, timeout=60)
    return built
