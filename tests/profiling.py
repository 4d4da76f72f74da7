"""A head and nodes with simulated GPUs, as processes of this machine."""

from __future__ import annotations

import json
import os
import signal
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

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "escalade", "profile", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
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
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
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
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
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
