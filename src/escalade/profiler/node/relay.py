"""The relay between vmagent and the head: holds a block until the head has it.

By itself vmagent waits twice as long after each failure, a minute in the end: a head that was away
for a minute would wait as long again for what was read meanwhile. The relay asks every second, and
answers vmagent when the head has answered. It knows the token, so that no command line does.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

URL = "http://head.invalid/write"
"""Where vmagent believes to write to. It names its queue after this: it must never change."""
_USER = "vmagent"
_AGAIN_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
_FINAL = frozenset({200, 202, 204, 400, 409, 413})
"""Answers after which a block is not sent again: taken, or refused for good."""


class Relay:
    """Serves on loopback what vmagent writes to; passes it on to the head.

    Parameters
    ----------
    head
        `host:port`.
    path
        Where the head takes it.
    headers
        Gives what goes with each request.
    say
        Gets a line when the head is lost or back.
    """

    def __init__(
        self,
        head: str,
        path: str,
        headers: Callable[[], Mapping[str, str]],
        say: Callable[[str], object],
    ) -> None:
        self._head = head
        self._path = path
        self._headers = headers
        self._say = say
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._line: http.client.HTTPConnection | None = None
        self._lost_since: float | None = None
        self.holding = 0
        """Blocks that the head does not have yet."""
        self._secret = secrets.token_urlsafe(16)
        basic = b64encode(f"{_USER}:{self._secret}".encode()).decode()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, f"Basic {basic}"))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="relay"
        )

    @property
    def proxy(self) -> str:
        """The proxy by which vmagent writes to `URL`; its password nobody else can guess."""
        return f"http://{_USER}:{self._secret}@127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Serve in threads."""
        self._thread.start()

    def end(self) -> None:
        """Give up what is held: vmagent keeps it in its queue."""
        self._ended.set()

    def close(self) -> None:
        """End serving."""
        self.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def pass_on(self, body: bytes, given: Mapping[str, str]) -> int:
        """Send a block until the head answers for good; 503 when this ends before."""
        self.holding += 1
        try:
            while not self._ended.is_set():
                status = self._sent(body, given)
                if status in _FINAL:
                    return status
                self._ended.wait(_AGAIN_SECONDS)
            return http.client.SERVICE_UNAVAILABLE
        finally:
            self.holding -= 1

    def _sent(self, body: bytes, given: Mapping[str, str]) -> int:
        with self._sending:
            try:
                if self._line is None:
                    host, _, port = self._head.rpartition(":")
                    self._line = http.client.HTTPConnection(
                        host.strip("[]"), int(port), timeout=_ANSWER_SECONDS
                    )
                self._line.request("POST", self._path, body, {**given, **self._headers()})
                answer = self._line.getresponse()
                words = answer.read(4096).decode("utf-8", "replace").strip()
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                self._lost(str(error) or type(error).__name__)
                return 0
        if answer.status in _FINAL:
            self._found()
            if answer.status >= http.client.BAD_REQUEST:
                self._say(f"the head refused a block for good ({answer.status}): {words[:200]}")
        else:
            self._lost(f"HTTP {answer.status}: {words[:200]}")
        return answer.status

    def _drop(self) -> None:
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.close()
        self._line = None

    def _lost(self, why: str) -> None:
        if self._lost_since is None:
            self._lost_since = time.monotonic()
            self._say(f"the head {self._head} does not take readings: {why}; they are kept here")

    def _found(self) -> None:
        if self._lost_since is not None:
            away = time.monotonic() - self._lost_since
            self._lost_since = None
            self._say(f"the head {self._head} is back after {away:.0f} s; sending what was kept")


def _handler(relay: Relay, password: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            given = self.headers.get("Proxy-Authorization", "")
            if (
                not secrets.compare_digest(given.encode(), password.encode())
                or not length.isdecimal()
            ):
                self.close_connection = True
                self._answer(http.client.FORBIDDEN)
                return
            body = self.rfile.read(int(length))
            kept = ("Content-Type", "Content-Encoding", "X-Prometheus-Remote-Write-Version")
            self._answer(
                relay.pass_on(body, {it: self.headers[it] for it in kept if it in self.headers})
            )

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: the relay tells what matters."""

    return Handler
