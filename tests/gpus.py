"""A machine with GPUs: unmodified NVML bindings on a library that a test compiles."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.runtime.endpoints import free_port, wait_http
from fakenvml import EVERYTHING, MODELS, FakeGpu, Fault, Of, Shape, Slice, State
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SOURCE = Path(__file__).parent / "data" / "fakenvml" / "fakenvml.c"


class Machine:
    """A machine whose GPUs a test sets, while programs read them."""

    def __init__(self, library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = folder / "nvml-state"
        path.write_bytes(bytes(ctypes.sizeof(State)))
        with path.open("r+b") as file:
            self.state = State.from_buffer(mmap.mmap(file.fileno(), 0))
        self.library = library
        monkeypatch.setenv("FAKE_NVML_STATE", str(path))
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def add(self, **values: float) -> FakeGpu:
        """Add a GPU whose clock stands still."""
        gpu: FakeGpu = self.state.gpus[self.state.count]
        gpu.name = b"Fake H100"
        gpu.uuid = f"GPU-{self.state.count}0000000-aaaa".encode()
        gpu.offered = EVERYTHING
        for name, value in values.items():
            setattr(gpu, name, value)
        self.state.count += 1
        return gpu

    def model(self, name: str) -> FakeGpu:
        """Add a GPU of a model that runs from now on, each figure with a wave of its own."""
        model = MODELS[name]
        gpu = self.add(
            memory_total=model.memory_bytes,
            memory_used=model.memory_bytes // 4,
            memory_reserved=256 << 20,
            utilization_percent=50,
            temperature=55,
            power_mw=model.watts * 500,
            power_limit_mw=model.watts * 1000,
            sm_mhz=1410,
            memory_mhz=1593,
            offered=model.offered,
            links=model.links,
            pcie_out=1_200_000_000,
            pcie_in=2_500_000_000,
            link_out=400_000_000,
            link_in=300_000_000,
            since=time.time(),
        )
        gpu.name = model.name.encode()
        gpu.wave(Of.UTILIZATION, Shape.SINE, 45, 20)
        gpu.wave(Of.MEMORY, Shape.SAW, model.memory_bytes / 8, 30)
        gpu.wave(Of.POWER, Shape.SQUARE, model.watts * 300, 10)
        gpu.wave(Of.TEMPERATURE, Shape.SINE, 15, 60)
        return gpu

    def slice(self, gpu: FakeGpu, uuid: str, total: int, used: int) -> None:
        """Cut a MIG device from a GPU."""
        parent = next(n for n in range(self.state.count) if self.state.gpus[n].uuid == gpu.uuid)
        gpu.slice[gpu.slices] = Slice(uuid.encode(), total, used, gpu.slices + 1, parent)
        gpu.slices += 1

    def fail(self, symbol: str, error: int, gpu: int = 0) -> None:
        """Have one call fail on one GPU."""
        self.state.fault[self.state.faults] = Fault(symbol.encode(), gpu, error)
        self.state.faults += 1

    def calls(self) -> dict[str, int]:
        """Count the calls by their symbol."""
        return {one.symbol.decode(): one.calls for one in self.state.counts if one.symbol}

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code where the fake library is what the loader finds."""
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
        )

    @contextlib.contextmanager
    def exporter(self, log: Path, *options: str) -> Iterator[str]:
        """Give the URL of a running GPU exporter; it must end well."""
        with self.running_exporter(log, *options) as (url, _):
            yield url

    @contextlib.contextmanager
    def running_exporter(
        self, log: Path, *options: str
    ) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """Give the process too, to stop it for a while."""
        port = free_port()
        argv = [sys.executable, "-m", "escalade.gpu.exporter", "--port", str(port), *options]
        with log.open("w") as opened, subprocess.Popen(argv, stderr=opened) as process:
            url = f"http://127.0.0.1:{port}/metrics"
            try:
                wait_http(url, 10, lambda: ended(process, log))
                yield url, process
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
    subprocess.run(["gcc", *flags, "-o", built, SOURCE, "-lm"], check=True, timeout=60)
    return built
