"""Real stores for tests: a PostgreSQL with pgvector, an S3 server that checks signatures."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.runtime import tools
from escalade.runtime.endpoints import free_port
from escalade.services.probe import READY, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Store:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    secret_file: Path
    folder: Path
    _count: int = field(default=0)

    def prepare(self, module: str, **parameters: Any) -> tuple[int, str, Path]:
        """Run a module that prepares; give its exit code, its last line, and its folder."""
        self._count += 1
        folder = self.folder / f"prepared-{self._count}"
        told = {"secret_file": str(self.secret_file), **parameters}
        plan = {"url": self.url, "seed": 3, "parameters": told, "folder": str(folder)}
        file = self.folder / f"plan-{self._count}.json"
        file.write_text(json.dumps(plan))
        command = [sys.executable, "-m", f"escalade.load.stores.{module}", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, (done.stdout.splitlines() or [""])[-1], folder

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@contextlib.contextmanager
def serving(command: list[str], url: str, folder: Path) -> Iterator[Store]:
    """Run a server until the block ends; `{port}` and so on are filled in."""
    port = free_port("127.0.0.1")
    secret = folder / "secret"
    secret.write_text("only-for-this-test")
    secret.chmod(0o600)
    scratch = tempfile.mkdtemp(prefix="escalade-test-")  # pytest's own is closed to other users
    (folder / "scratch-link").symlink_to(scratch)
    values = {"port": str(port), "scratch": scratch, "secret": str(secret)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *(word.format(**values) for word in command)], stdout=log, stderr=log
        )
    store = Store(process, url.format(port=port), secret, folder)
    deadline = time.monotonic() + 30
    while connect(store.url, 1.0) != READY:
        assert process.poll() is None, (folder / "server.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    try:
        yield store
    finally:
        store.stop()
        subprocess.run(["rm", "-rf", scratch], check=True)


def postgres(folder: Path) -> contextlib.AbstractContextManager[Store]:
    """Run PostgreSQL with pgvector."""
    program = str(tools.ensure("postgres").path)
    command = ["-m", "escalade.services.postgres_server", "--postgres", program]
    command += ["--port", "{port}", "--data", "{scratch}", "--secret-file", "{secret}"]
    command += ["--shared-buffers", "32"]
    return serving(command, "postgresql://escalade@127.0.0.1:{port}/postgres", folder)


def object_store(folder: Path) -> contextlib.AbstractContextManager[Store]:
    """Run nanio."""
    command = ["-m", "escalade.services.s3_server", "--port", "{port}"]
    command += ["--data", "{scratch}", "--secret-file", "{secret}"]
    return serving(command, "http://127.0.0.1:{port}", folder)
