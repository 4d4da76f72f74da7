"""What every request has to pass before the application sees it.

Its host, its origin, its token, and the size of its body. Bodies are read here, whole and bounded:
the application never waits for a slow one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers

from escalade.monitoring.http.problems import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from escalade.monitoring.http.limits import Limits
    from escalade.monitoring.http.tokens import TokenHash

OPEN = ("/health", "/docs", "/openapi.json")
"""Pages that need no token: they tell nothing of sessions."""
_LOG = logging.getLogger("escalade.monitoring.http")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


class Gate:
    """The outermost part of the application.

    Parameters
    ----------
    app
        What lies behind.
    token
        That requests have to carry; None where none is needed.
    loopback_only
        Refuse a Host that is no name of loopback: a page of a browser can point a name of its own
        at 127.0.0.1 (DNS rebinding).
    limits
        Bounds.
    """

    def __init__(
        self, app: ASGIApp, *, token: TokenHash | None, loopback_only: bool, limits: Limits
    ) -> None:
        self._app = app
        self._token = token
        self._loopback_only = loopback_only
        self._limits = limits
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket: there is none
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send)
        refusal = self._refusal(scope, Headers(scope=scope))
        counted = scope["path"] not in OPEN  # a stranger must not take the places of others
        if refusal is None and counted and self._inside >= self._limits.requests:
            words = f"{self._inside} requests are being worked on, the most at once."
            refusal = Refusal(503, "busy", words, headers={"Retry-After": "1"})
        if refusal is not None:
            await answer.refuse(refusal)
            return
        self._inside += counted
        try:
            await self._let_in(scope, receive, answer)
        except Exception as error:
            _LOG.exception("%s %s", scope["method"], ascii(scope["path"])[:200])
            if answer.begun:
                raise
            words = f"An unexpected {type(error).__name__}."
            await answer.refuse(Refusal(500, "internal", words))
        finally:
            self._inside -= counted

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        host = headers.get("host", "")
        if self._loopback_only and not _means_loopback(host):
            return Refusal(421, "wrong_host", f"This server is not {host[:100]!r}.")
        origin = headers.get("origin")
        if origin is not None and origin.rpartition("://")[2] != host:
            return Refusal(403, "foreign_origin", f"The request is from {origin[:100]!r}.")
        if self._token is None or scope["path"] in OPEN:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._token.fits(given.strip()):
            return None
        what = "has no bearer token" if scheme.lower() != "bearer" else "has another token"
        challenge = {"WWW-Authenticate": 'Bearer realm="escalade monitor"'}
        return Refusal(401, "unauthorized", f"The request {what}.", headers=challenge)

    async def _let_in(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await self._body(scope, receive)
        except TimeoutError:
            words = f"The body was not there within {self._limits.body_seconds:g} s."
            await answer.refuse(Refusal(408, "slow_body", words))
            return
        except _HungUpError:  # what it asked for it did not say to the end
            return
        if body is None:
            words = f"The body is larger than {self._limits.body_bytes:,} bytes."
            await answer.refuse(Refusal(413, "too_large", words))
            return
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return given.pop() if given else await receive()

        await self._app(scope, replay, answer.send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Read the body; None where it is too large, whether it says so or not.

        A client that hangs up before its end has asked for nothing.
        """
        said = Headers(scope=scope).get("content-length", "0")
        if said.isdecimal() and int(said[:20]) > self._limits.body_bytes:
            return None
        pieces, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _HungUpError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._limits.body_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(pieces)


class _HungUpError(Exception):
    """The client is gone."""


class _Answer:
    """Sends the answer, with the headers that all have."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        body = json.dumps(refusal.content()).encode()
        headers: list[Any] = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
        ]
        await self.send(
            {"type": "http.response.start", "status": refusal.status, "headers": headers}
        )
        await self.send({"type": "http.response.body", "body": body})


def _means_loopback(host: str) -> bool:
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else ""
    name = (name or host.partition(":")[0]).strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
