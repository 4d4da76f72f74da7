"""One connection to an HTTP service, with nothing on it that a load generator does not need."""

# mypy: allow-untyped-calls, allow-subclassing-any
# (gevent and geventhttpclient's parser have few types)

from __future__ import annotations

import errno
import functools
import socket
import ssl
from collections import deque
from select import POLLIN
from typing import Any, NamedTuple

import gevent
import gevent.socket
from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original
from geventhttpclient._parser import HTTPResponseParser
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from escalade.load.clock import now

PORTS = {"http": 80, "https": 443}
_BLOCK = 65536
_READABLE = 1
_END = b"\r\n\r\n"
_FINAL = 200  # statuses below announce another answer
_GATHER_SECONDS = 0.25  # for which what comes may wait for its reader
_GONE = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
_poll = get_original("select", "poll")  # gevent's own would take a turn of the event loop
_gathering: set[Connection] = set()


class Origin(NamedTuple):
    """Where a service is."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What the header `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class ClosedEarlyError(HTTPConnectionClosed):
    """A connection ended before the first byte of an answer."""


class Connection:
    """Carries one exchange after another.

    Parameters
    ----------
    origin
        Where to.
    insecure
        Whether the certificate of a service goes unchecked.

    Attributes
    ----------
    read_at
        When something came last, in `clock.now()`.

    Raises
    ------
    OSError
        When it can't be made.
    """

    def __init__(self, origin: Origin, *, insecure: bool) -> None:
        self.origin = origin
        self._sock = gevent.socket.create_connection((origin.host, origin.port))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin.scheme == "https":
            self._sock = _context(insecure).wrap_socket(self._sock, server_hostname=origin.host)
        self._bare: socket.socket = getattr(self._sock, "_sock", self._sock)  # never waits
        hub = get_hub()
        self._wait = hub.wait
        self._watcher = hub.loop.io(self._sock.fileno(), _READABLE)
        self._is_whole = origin.scheme == "http"  # TLS may hold bytes that the kernel gave it
        self._waits = True
        self._state = _poll()
        self._state.register(self._sock.fileno(), POLLIN)
        self._parser = _Parser()
        self.read_at = now()
        self._gathered: list[tuple[float, bytes]] = []
        self._broke: Exception | None = None
        self._reader: Waiter[None] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the answer is here to its end."""
        return self._parser.complete

    @property
    def is_stale(self) -> bool:
        """Whether the service has closed it, or says what it was not asked, while it was idle."""
        return bool(self._state.poll(0))

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange can follow."""
        parser = self._parser
        return (
            parser.complete
            and not parser.surplus
            and not parser.parser_failed()
            and parser.should_keep_alive()
        )

    def ask(self, request: bytes, *, bodiless: bool) -> tuple[int, bytes]:
        """Send a request and wait for the head of its answer.

        Parameters
        ----------
        request
            Head and body.
        bodiless
            Whether the answer has no body whatever its head says (HEAD).

        Returns
        -------
        tuple
            The status, and the head as it came.

        Raises
        ------
        ClosedEarlyError
            When the connection ended before the first byte of an answer.
        OSError, HTTPParseError
            When it breaks, or the answer is no HTTP.
        """
        parser = self._parser
        parser.expect(bodiless=bodiless)
        head = b""
        try:
            sent = self._sock.send(request)
            if sent < len(request):
                self._sock.sendall(request[sent:])
            while not parser.final:
                data = self._read()
                if not data and not head:
                    raise ClosedEarlyError("connection closed.")
                head += data
                parser.take(data)
        except OSError as error:
            if error.errno in _GONE and not head:
                raise ClosedEarlyError("connection closed.") from error
            raise
        return parser.status, _last_head(head)

    def body(self) -> list[tuple[float, bytes]]:
        """Give what has come of the body since the last call: when it was read, and it."""
        self._keep_body()
        gathered, self._gathered = self._gathered, []
        return gathered

    def read_on(self) -> None:
        """Wait for more of the answer.

        Raises
        ------
        OSError, HTTPParseError
            When the connection breaks, or ends too early.
        """
        if self._broke is not None:
            raise self._broke
        self._parser.take(self._read())

    def gather(self) -> None:
        """Wait for the end of the answer, or for what comes in the next quarter of a second.

        It is read as soon as it comes, and its time noted, by the event loop itself: to wake
        a greenlet for every token of many streams would take a load generator's time.

        Raises
        ------
        OSError, HTTPParseError
            When the connection breaks, or ends too early; what came before is in `body`.
        """
        if self._broke is not None or not self._is_whole:
            self.read_on()
            return
        self._keep_body()
        self._reader = Waiter()
        _gathering.add(self)
        self._watcher.start(self._take)
        try:
            self._reader.get()
        finally:
            self._watcher.stop()
            _gathering.discard(self)
            self._reader = None

    def hand_over(self) -> None:
        """End `gather`, from the event loop."""
        if self._reader is not None:
            self._reader.switch(None)

    def _take(self) -> None:
        try:
            data = self._bare.recv(_BLOCK)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke = error
        else:
            self.read_at = now()
            try:
                self._parser.take(data)
            except HTTPParseError as error:
                self._broke = error
            self._keep_body()
        began = self._gathered[0][0] if self._gathered else self.read_at
        if self._broke or self._parser.complete or self.read_at - began > _GATHER_SECONDS:
            self.hand_over()

    def _keep_body(self) -> None:
        if pieces := self._parser.body:
            piece = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
            self._gathered.append((self.read_at, piece))
            pieces.clear()

    def close(self) -> None:
        """Close it."""
        self._watcher.close()
        self._sock.close()

    def _read(self) -> bytes:
        if self._waits:
            self._wait(self._watcher)
        data: bytes = self._sock.recv(_BLOCK)
        self.read_at = now()
        self._waits = self._is_whole and len(data) < _BLOCK
        return data


def hand_over() -> None:
    """Let every reader that gathers an answer take what has come of it, before this returns."""
    hub = get_hub()
    for connection in tuple(_gathering):
        hub.loop.run_callback(connection.hand_over)
    if gevent.getcurrent() is not hub:
        gevent.sleep(0)


class _Parser(HTTPResponseParser):
    """Follows the answers on a connection; the text of their heads it leaves alone."""

    _on_status = _on_header_field = _on_header_value = deque[Any](maxlen=0).append

    def __init__(self) -> None:
        super().__init__()
        self.body: list[bytearray] = []
        self._on_body = self.body.append
        self.expect(bodiless=False)

    def expect(self, *, bodiless: bool) -> None:
        """Begin with the answer to another request."""
        self.status = 0
        self.final = False
        self.complete = False
        self.surplus = False
        self.body.clear()
        self._bodiless = bodiless

    def take(self, data: bytes) -> None:
        """Take what came; b"" is the end of the connection."""
        try:
            self.feed(data)
        except HTTPParseError:
            if not self.complete:
                raise
            self.surplus = True

    def _on_message_begin(self) -> None:
        self.surplus = self.complete

    def _on_headers_complete(self) -> bool:
        if not self.surplus:
            self.status = self.get_code()
            self.final = self.status >= _FINAL
        return self._bodiless

    def _on_message_complete(self) -> None:
        self.complete = self.final


def _last_head(text: bytes) -> bytes:
    """Cut an answer's head from what came: before it may be heads that announce it."""
    head, _, rest = text.partition(_END)
    while head[9:10] == b"1":
        head, _, rest = rest.partition(_END)
    return head


@functools.cache
def _context(insecure: bool) -> ssl.SSLContext:  # noqa: FBT001 - a key of the cache
    context: ssl.SSLContext = gevent.ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
