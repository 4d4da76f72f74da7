"""Just enough of HTTP/1.1 for the truth server: requests with bodies, streams, keep-alive.

Connections are served without asyncio's transports: those take four turns of the
loop to accept one, up to half a millisecond in which a request has already arrived.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[["Exchange"], Awaitable[None]]

_HEAD_LIMIT = 1 << 16
_READ_SIZE = 1 << 16
_BACKLOG = 4096
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@dataclass
class Exchange:
    """One request, and the means to answer it.

    Parameters
    ----------
    method, path
        Of the request; the path without its query.
    headers
        With names in lower case.
    body
        Whole.
    arrival
        `time.monotonic()` at its first byte.
    connection
        Where the answer goes.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrival: float
    connection: Connection

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection stays open after the answer."""
        return self.headers.get("connection", "").lower() != "close"

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Send a whole answer."""
        self._head(status, kind, f"Content-Length: {len(body)}")
        self.connection.write(body)

    def start_stream(self, kind: str = "text/event-stream") -> None:
        """Begin an answer of unknown length."""
        self._head(HTTPStatus.OK, kind, "Transfer-Encoding: chunked")

    def send(self, piece: bytes) -> None:
        """Send a piece of a stream."""
        self.connection.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def end_stream(self) -> None:
        """End a stream."""
        self.connection.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the connection off."""
        self.connection.abort()

    def _head(self, status: int, kind: str, length: str) -> None:
        after = "keep-alive" if self.keeps_alive else "close"
        lines = [
            f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}",
            f"Content-Type: {kind}",
            length,
            f"Connection: {after}",
        ]
        self.connection.write("\r\n".join([*lines, "", ""]).encode())


class Connection:
    """One connection: cuts requests out of the bytes and has them answered in turn.

    Parameters
    ----------
    sock
        Accepted, not blocking.
    handle
        Answers one exchange. It is cancelled when the client goes away.
    """

    def __init__(self, sock: socket.socket, handle: Handler) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._handle = handle
        self._unread = bytearray()
        self._unsent = bytearray()
        self._arrival = 0.0
        self._task: asyncio.Future[None] | None = None
        self._ending = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(sock, self.read)
        self.read()  # a client sends at once: its request is often there

    def read(self) -> None:
        """Take what has arrived; start on a request once it is whole."""
        try:
            data = self._sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        if not self._unread:
            self._arrival = time.monotonic()
        self._unread += data
        self._next()

    def write(self, data: bytes) -> None:
        """Send now what the socket takes, the rest when it can."""
        self._unsent += data
        self._flush()

    def close(self) -> None:
        """Close once all is sent."""
        self._ending = True
        self._flush()

    def abort(self) -> None:
        """Break off with a reset."""
        with suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._lose()

    def _flush(self) -> None:
        if self._sock.fileno() < 0:
            return
        try:
            sent = self._sock.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._sock, self._flush)
            return
        self._loop.remove_writer(self._sock)
        if self._ending:
            self._lose()

    def _lose(self) -> None:
        """Give up the connection, and what is being answered: nobody listens."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        if self._task and self._task is not asyncio.current_task():
            self._task.cancel()

    def _next(self) -> None:
        if self._task is not None:
            return
        try:
            exchange = self._cut()
        except ValueError:
            self.abort()
            return
        if exchange:
            self._task = asyncio.ensure_future(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        with suppress(asyncio.CancelledError):
            await self._handle(exchange)
        self._task = None
        if not exchange.keeps_alive:
            self.close()
        elif self._unread:
            self._next()

    def _cut(self) -> Exchange | None:
        head, found, rest = bytes(self._unread).partition(b"\r\n\r\n")
        if not found:
            if len(head) > _HEAD_LIMIT:
                raise ValueError("the head of a request never ends")
            return None
        request, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        method, target, _ = request.split(" ")
        del self._unread[: len(head) + len(found) + length]
        path = target.partition("?")[0]
        return Exchange(method, path, headers, rest[:length], self._arrival, self)


def listen(host: str, port: int, handle: Handler) -> socket.socket:
    """Serve connections in the running loop until the returned socket is closed.

    Parameters
    ----------
    host, port
        Where; port 0 takes a free one.
    handle
        Answers one exchange.

    Raises
    ------
    OSError
        When the address can't be had.
    """
    listening = socket.create_server((host, port), backlog=_BACKLOG)
    listening.settimeout(0)

    def accept() -> None:
        with suppress(BlockingIOError):
            while True:
                sock, _ = listening.accept()
                sock.settimeout(0)
                Connection(sock, handle)

    asyncio.get_running_loop().add_reader(listening, accept)
    return listening
