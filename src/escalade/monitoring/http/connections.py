"""Connections that nobody can hold for nothing: silent ones and ones that are not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

MOST = 256
"""Connections at once; beyond, the one that has waited longest for its client is closed."""
WAIT_SECONDS = 15.0
"""Until the head of a request has to be there: the first one, and each after an answer."""


class BoundedConnection(H11Protocol):
    """A connection of uvicorn that is closed when its client lets it wait.

    It waits for its client until the head of a request is there, and after an answer until the
    rest of that request's body is: bytes that come one by one do not make it wait longer. It waits
    too where its client does not read what it asked for. While a
    request is worked on, and while its body comes, the gate has deadlines of its own.

    Parameters
    ----------
    config, server_state, app_state, _loop
        As uvicorn gives them.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; close another connection where there are too many."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > MOST:
            waiting = [line for line in self.connections if isinstance(line, BoundedConnection)]
            min(waiting, key=BoundedConnection._patience).give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the wait ends with a head."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread = True
        self._watch()

    def resume_writing(self) -> None:
        """Go on: it has read."""
        super().resume_writing()
        self._unread = False
        self._watch()

    def give_up(self) -> None:
        """Close it, also where its client does not read."""
        self._forget()
        self.connections.discard(self)
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _watch(self) -> None:
        if self.transport.is_closing():
            waits = self.transport.get_write_buffer_size() > 0
        else:
            asks = self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE
            waits = asks or self._unread
        if not waits:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(WAIT_SECONDS, self.give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _patience(self) -> float:
        """Tell when it is closed anyway: never, where it does not wait for its client."""
        return float("inf") if self._deadline is None else self._deadline.when()
