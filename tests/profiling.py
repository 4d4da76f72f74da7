"""A head and nodes with simulated GPUs, as processes of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.runtime.endpoints import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

READY_SECONDS = 30.0


class Child:
    """A command of the profiler that runs, and what it said."""

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-P", "-m", "escalade", "profile", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def until(self, words: str, seconds: float = READY_SECONDS) -> str:
        """Wait for a line; give it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines:
                if words in line:
                    return line
            if self.process.poll() is not None:
                self._reader.join(5)
                break
            time.sleep(0.02)
        found = [line for line in self.lines if words in line]
        assert found, f"{words!r} was not said:\n{self.said}"
        return found[0]

    def end(self, number: int = signal.SIGTERM, seconds: float = 40) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def kill_all(self) -> None:
        """End it with all that it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


class Rig:
    """A head in a folder, and nodes that may be many on one machine."""

    def __init__(self, folder: Path, *, freq: int = 100, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self.freq = freq
        self.options = options
        self.data = folder / "head"
        self.children: list[Child] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def head(self) -> Child:
        child = Child(
            *("start", "--host", "127.0.0.1", "--port", str(self.port), "--http-port", "0"),
            *("--freq", str(self.freq), "--data", str(self.data)),
            *self.options,
        )
        self.children.append(child)
        child.until("The head is ready")
        return child

    def queue(self, name: str) -> Path:
        return self.folder / "nodes" / name

    def node(self, name: str, *options: str, head: str | None = None) -> Child:
        child = Child(
            *("connect", head or self.address, "--name", name, "--queue", str(self.queue(name))),
            *options,
        )
        self.children.append(child)
        return child

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the profiler to its end; give what it printed."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "escalade", "profile", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            timeout=120,
        )
        assert done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def ask(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def stop(self, name: str) -> dict[str, Any]:
        """End a session, and give its JSON file."""
        stopped = self.ask("stop", self.address, "--name", name)["stopped"][0]
        path = next(path for path in stopped["files"] if path.endswith(".json"))
        content: dict[str, Any] = json.loads(Path(path).read_bytes())
        return content

    def close(self) -> None:
        for child in reversed(self.children):
            child.kill_all()


def until(true: Callable[[], object], seconds: float = READY_SECONDS) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Wire:
    """A line between nodes and head that a test can cut: nothing passes then, and nobody is told."""

    def __init__(self, port: int) -> None:
        self._there = ("127.0.0.1", port)
        self._passes = threading.Event()
        self._passes.set()
        self._closed = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._passes.clear()

    def mend(self) -> None:
        self._passes.set()

    def close(self) -> None:
        self._closed = True
        self._passes.set()
        self._server.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._passes.wait()
        try:
            far = socket.create_connection(self._there, 5)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(1 << 16):
                self._passes.wait()
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
