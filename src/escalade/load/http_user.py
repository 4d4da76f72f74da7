"""A user for many requests per second: `FastHttpUser` at a third of its cost.

It is used as locust's `FastHttpUser` is, with the same calls and the same request events.
It leaves out what a benchmark of a service can do without: cookies, proxies, uploads of
files, and times in the middle of a request.
"""

# mypy: allow-subclassing-any, allow-untyped-calls
# (locust has few types)

from __future__ import annotations

import json as encoding
import time
import zlib
from base64 import b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from geventhttpclient.response import HTTPParseError
from locust import User
from locust.contrib.fasthttp import LocustBadStatusCode
from locust.exception import StopTest

from escalade.load.answer import Answer
from escalade.load.connection import PORTS, ClosedEarlyError, Connection, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from locust.env import Environment
    from locust.event import EventHook

_FAILURES = (OSError, HTTPParseError, zlib.error)
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = 303
_MOST_REDIRECTS = 30
_BAD_STATUS = 400
_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's names of the formats


class LeanHttpUser(User):
    """A user whose `client` is a `LeanSession`."""

    abstract = True
    insecure = True
    """Whether certificates go unchecked, as with `FastHttpUser`."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("There is no host: give --host, or the user class an attribute `host`.")
        event = environment.events.request
        self.client = LeanSession(self.host, event, self, insecure=self.insecure)


class LeanSession:
    """Sends requests; keeps a connection to each place for the next one.

    Parameters
    ----------
    base_url
        Of the service; `user:password@` in it becomes an Authorization header.
    event
        locust's request event.
    user
        Whose session it is: its context goes with the events.
    insecure
        Whether certificates go unchecked.
    """

    def __init__(
        self, base_url: str, event: EventHook, user: User | None = None, *, insecure: bool = True
    ) -> None:
        self.base_url, self._always = _without_login(base_url)
        self.standby: tuple[str, Callable[[], None]] | None = None
        """Where a request goes whose connection is refused, and what is called then."""
        self._event = event
        self._user = user
        self._insecure = insecure
        self._kept: dict[Origin, Connection] = {}

    def leave(self) -> None:
        """Do nothing: is called last before a request leaves, for those who wait for that."""

    def get(self, url: str, **options: Any) -> Answer:
        """Send a GET request, as `request` does."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Answer:
        """Send a POST request, as `request` does."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Answer:
        """Send a PUT request, as `request` does."""
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> Answer:
        """Send a DELETE request, as `request` does."""
        return self.request("DELETE", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str | None = None,
        data: str | bytes | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        catch_response: bool = False,
        stream: bool = False,
        allow_redirects: bool = True,
        context: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send a request and wait for its answer.

        Parameters
        ----------
        method, url
            The URL is a path of the service, or a whole one.
        name
            In locust's statistics; the URL where there is none.
        data, json
            The body, as it is or to be made JSON.
        headers
            Besides `Host`, `User-Agent` and `Accept-Encoding`, or in their place.
        catch_response
            Fire the request event at the end of a `with` block, in which the answer's
            `success` and `failure` decide.
        stream
            Return with the answer's head; its `pieces` are to be read, or it is to be released.
        allow_redirects
            Follow them, up to 30.
        context
            For the listeners of the event.

        Returns
        -------
        Answer
            With what failed on the way as its `error`.

        Raises
        ------
        ValueError
            When it can't be written: a line break in a header, no such URL.
        """
        meta: dict[str, Any] = {
            "request_type": method,
            "name": name or url,
            "start_time": time.time(),
            "url": url if _is_whole(url) else self.base_url + url,
            "response_length": 0,
            "context": {**(self._user.context() if self._user else {}), **(context or {})},
        }
        answer = Answer(meta, self._event.fire)
        body, fields = _content(data, json, headers)
        fields = {**self._always, **fields} if self._always else fields
        began = time.perf_counter()
        try:
            hops = _MOST_REDIRECTS * allow_redirects
            try:
                self._follow(answer, method.upper(), fields, body, hops=hops)
            except ConnectionRefusedError:  # so nothing of it was received
                if self.standby is None or _is_whole(url) or answer.status_code:
                    raise
                other, note = self.standby
                note()
                answer.url = meta["url"] = other + url
                self._follow(answer, method.upper(), fields, body, hops=hops)
            if not stream:
                answer.content = _unpacked(answer, b"".join(answer.pieces()))
                meta["response_length"] = len(answer.content)
            if answer.status_code >= _BAD_STATUS:
                answer.error = LocustBadStatusCode(meta["url"], code=answer.status_code)
        except _FAILURES as error:
            answer.error = error
        finally:
            if answer.error or not stream:
                answer.release()
        meta["response_time"] = (time.perf_counter() - began) * 1000
        if not catch_response:
            answer.report()
        return answer

    def _follow(
        self, answer: Answer, method: str, fields: Mapping[str, str], body: bytes, *, hops: int
    ) -> None:
        """Exchange requests for answers until one is no redirect, or there were too many."""
        url = answer.url
        for _ in range(hops + 1):
            origin, target = _place(url)
            self._exchange(answer, method, origin, _written(method, origin, target, fields, body))
            onward = answer.headers.get("location") if answer.status_code in _REDIRECTS else None
            if onward is None or not hops:
                return
            for _ in answer.pieces():
                pass
            answer.release()
            if answer.status_code == _SEE_OTHER or (
                method == "POST" and answer.status_code < _SEE_OTHER
            ):
                method, body = "GET", b""
            url = urljoin(url, onward)
        raise ConnectionError(f"more than {hops} redirects")

    def _exchange(self, answer: Answer, method: str, origin: Origin, request: bytes) -> None:
        """Send a request; the answer gets its connection, status and head."""
        connection = self._kept.pop(origin, None)
        self.leave()
        if connection is not None and connection.is_stale:
            connection.close()
            connection = None
        is_kept = connection is not None
        while True:
            if connection is None:
                connection = Connection(origin, insecure=self._insecure)
            try:
                told = connection.ask(request, bodiless=method == "HEAD")
            except ClosedEarlyError:  # by a service that went while the request was on its way
                connection.close()
                if not is_kept or method not in _REPEATABLE:
                    raise
                connection, is_kept = None, False
            except BaseException:
                connection.close()
                raise
            else:
                answer.status_code, answer.head = told
                answer.connection = connection
                answer.give_back = self._give_back
                return

    def _give_back(self, connection: Connection) -> None:
        if connection.is_reusable and connection.origin not in self._kept:
            self._kept[connection.origin] = connection
        else:
            connection.close()


def _content(
    data: str | bytes | None, json: Any, headers: Mapping[str, str] | None
) -> tuple[bytes, dict[str, str]]:
    fields = dict(headers) if headers else {}
    if data is not None:
        return (data.encode() if isinstance(data, str) else data), fields
    if json is None:
        return b"", fields
    return encoding.dumps(json).encode(), {"Content-Type": "application/json", **fields}


def _written(
    method: str, origin: Origin, target: str, fields: Mapping[str, str], body: bytes
) -> bytes:
    """Write a request out.

    Raises
    ------
    ValueError
        When a header has a line break or characters that HTTP does not know.
    """
    lines = [f"{method} {target} HTTP/1.1"]
    given = {name.lower() for name in fields}
    defaults = _defaults(origin)
    lines += [line for name, line in defaults if name not in given]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    if (body or method in _WITH_BODY) and "content-length" not in given:
        lines.append(f"Content-Length: {len(body)}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError(f"a header of {method} {target} has a line break")
    return text.encode("latin-1") + b"\r\n\r\n" + body


@lru_cache(maxsize=64)
def _defaults(origin: Origin) -> list[tuple[str, str]]:
    return [
        ("host", f"Host: {origin.authority}"),
        ("user-agent", "User-Agent: escalade"),
        ("accept-encoding", "Accept-Encoding: gzip, deflate"),
    ]


@lru_cache(maxsize=1024)
def _place(url: str) -> tuple[Origin, str]:
    """Split a URL into where to connect and what to ask for."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no address of an HTTP service: http://HOST:PORT/PATH")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    return Origin(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]), target


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """Take user and password out of a URL; give them as the header that they become."""
    parts = urlsplit(url)
    if parts.username is None or parts.password is None:
        return url, {}
    login = f"{unquote(parts.username)}:{unquote(parts.password)}".encode()
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return plain.geturl(), {"Authorization": f"Basic {b64encode(login).decode()}"}


def _unpacked(answer: Answer, body: bytes) -> bytes:
    if b"content-encoding" not in answer.head.lower():
        return body
    kind = _PACKED.get(answer.headers.get("content-encoding", "").lower())
    if kind is None or not body:
        return body
    unpacking = zlib.decompressobj(kind)
    return unpacking.decompress(body) + unpacking.flush()


def _is_whole(url: str) -> bool:
    return url[:7].lower() == "http://" or url[:8].lower() == "https://"
