"""`escalade monitor serve` as a process of its own, and requests to it byte by byte."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support import usual_signals

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "only-for-tests-0123456789abcdef"  # noqa: S105 - opens nothing


@dataclass(frozen=True)
class Reply:
    """An answer: its status, and its body read as JSON where it is some."""

    status: int
    content: Any


@dataclass
class Server:
    """A server of its own process."""

    process: subprocess.Popen[bytes]
    port: int
    root: Path
    log: Path

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, *pieces: bytes) -> Reply:
        """Send bytes as they are, and read one answer."""
        with self.open() as line:
            for piece in pieces:
                line.sendall(piece)
            return answer_on(line)

    def ask(self, method: str, path: str, body: Any = None, host: str | None = None) -> Reply:
        content = b"" if body is None else json.dumps(body).encode()
        return self.send(self.head(method, path, host, f"Content-Length: {len(content)}"), content)

    def head(self, method: str, path: str, host: str | None = None, *lines: str) -> bytes:
        words = [
            f"{method} {path} HTTP/1.1",
            f"Host: {host or f'127.0.0.1:{self.port}'}",
            f"Authorization: Bearer {TOKEN}",
            "Content-Type: application/json",
            "Connection: close",
            *lines,
        ]
        return "\r\n".join([*words, "", ""]).encode()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def answer_on(line: socket.socket) -> Reply:
    answer = http.client.HTTPResponse(line)
    answer.begin()
    body = answer.read()
    told = json.loads(body) if answer.headers.get_content_type() == "application/json" else body
    return Reply(answer.status, told)


def serve(root: Path, log: Path) -> Server:
    secret = log.with_suffix(".token")
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    argv = (sys.executable, "-m", "escalade", "monitor", "serve", "--port", "0")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*argv, "--root", str(root), "--token-file", str(secret)],
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=usual_signals,
        )
    deadline = time.monotonic() + 60
    while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return Server(process, int(found[1]), root, log)
