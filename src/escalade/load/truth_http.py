"""Just enough of HTTP/1.1 for the truth server: requests with bodies, streams, keep-alive."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_HEAD_LIMIT = 1 << 16


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
    transport
        Of its connection.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrival: float
    transport: asyncio.Transport

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection stays open after the answer."""
        return self.headers.get("connection", "").lower() != "close"

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Send a whole answer."""
        self._head(status, kind, f"Content-Length: {len(body)}")
        self.transport.write(body)

    def start_stream(self, kind: str = "text/event-stream") -> None:
        """Begin an answer of unknown length."""
        self._head(HTTPStatus.OK, kind, "Transfer-Encoding: chunked")

    def send(self, piece: bytes) -> None:
        """Send a piece of a stream."""
        self.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def end_stream(self) -> None:
        """End a stream."""
        self.transport.write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the connection off."""
        self.transport.abort()

    def _head(self, status: int, kind: str, length: str) -> None:
        connection = "keep-alive" if self.keeps_alive else "close"
        lines = [
            f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}",
            f"Content-Type: {kind}",
            length,
            f"Connection: {connection}",
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode())


class HttpProtocol(asyncio.Protocol):
    """One connection: cuts requests out of the bytes and has them answered in turn.

    Parameters
    ----------
    handle
        Answers one exchange. It is cancelled when the client goes away.
    """

    def __init__(self, handle: Callable[[Exchange], Awaitable[None]]) -> None:
        self._handle = handle
        self._buffer = bytearray()
        self._arrival = 0.0
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP servers get
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes; start on a request once it is whole."""
        if not self._buffer:
            self._arrival = time.monotonic()
        self._buffer += data
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Give up what is being answered: nobody listens."""
        self._transport = None
        if self._task:
            self._task.cancel()

    def _next(self) -> None:
        if self._transport is None or self._task is not None:
            return
        try:
            exchange = self._cut(self._transport)
        except (ValueError, UnicodeDecodeError):
            self._transport.abort()
            return
        if exchange:
            self._task = asyncio.ensure_future(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        with suppress(asyncio.CancelledError):
            await self._handle(exchange)
        self._task = None
        if not exchange.keeps_alive and self._transport:
            self._transport.close()
        elif self._buffer:
            self._next()

    def _cut(self, transport: asyncio.Transport) -> Exchange | None:
        head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not found:
            if len(head) > _HEAD_LIMIT:
                raise ValueError("the head of a request never ends")
            return None
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (x.partition(":") for x in lines)
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        method, target, _ = request.split(" ")
        del self._buffer[: len(head) + len(found) + length]
        path = target.partition("?")[0]
        return Exchange(method, path, headers, rest[:length], self._arrival, transport)
