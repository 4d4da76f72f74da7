"""What an exception of an HTTP client means for the request that met it.

Clients wrap the cause: geventhttpclient in `original`, requests and urllib3 in
`args`, `reason` and the exception's context. The chain is searched from the outside
in, and the innermost cause that is known decides.
"""

from __future__ import annotations

import errno
import socket
import ssl
import zlib
from typing import TYPE_CHECKING

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from requests import exceptions as requests_errors
from urllib3 import exceptions as urllib3_errors

from escalade.load.abandonment import AbandonedError
from escalade.load.sse import MalformedStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

ABANDONED = "abandoned"
"""What a request is whose client left as planned: no error, and no success."""


class RefusedError(RuntimeError):
    """The service answered with an error of its own protocol, where that has no HTTP status."""


_CONNECT_NUMBERS = {
    errno.EADDRNOTAVAIL,
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.EMFILE,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
}
_CLASSES: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    (ABANDONED, (AbandonedError,)),
    ("refused", (RefusedError,)),
    ("reset", (ssl.SSLEOFError, ssl.SSLZeroReturnError)),
    (
        "connect",
        (
            ssl.SSLError,  # a ValueError and an OSError as well
            socket.gaierror,
            ConnectionRefusedError,
            requests_errors.ConnectTimeout,
            urllib3_errors.ConnectTimeoutError,
        ),
    ),
    ("timeout", (TimeoutError, requests_errors.Timeout, urllib3_errors.TimeoutError)),
    (
        "reset",
        (
            ConnectionResetError,
            ConnectionAbortedError,
            BrokenPipeError,
            HTTPConnectionClosed,
            urllib3_errors.IncompleteRead,
            urllib3_errors.ProtocolError,
        ),
    ),
    (
        "malformed",
        (
            MalformedStreamError,
            HTTPParseError,
            ValueError,  # JSON, UTF-8
            zlib.error,
            requests_errors.InvalidJSONError,
            requests_errors.ContentDecodingError,
        ),
    ),
)
_CUT_SHORT = (("Incomplete response.",), ("Invalid EOF state",))  # of geventhttpclient and llhttp
_DEPTH = 8


def error_class(error: BaseException, status: int) -> str:
    """Name the class of an error, one of `records.ERRORS`.

    Parameters
    ----------
    error
        What the client raised, or what the task said with `response.failure`.
    status
        HTTP status, 0 when none was received.

    Returns
    -------
    str
        By the status where it tells of an error, else by the innermost cause that
        is known. An unknown one after a good status is the task's own check of the
        answer: "malformed". Otherwise "aborted".
    """
    if status >= 500:
        return "http_5xx"
    if status >= 400:
        return "http_4xx"
    found = "malformed" if 200 <= status < 300 else "aborted"
    for cause in _chain(error):
        found = _own_class(cause) or found
    return found


def forget_tracebacks(error: object) -> None:
    """Cut an error and its causes off the frames they came through.

    Frame and error refer to each other; with the collector off, every failed
    request would leave 20 kB behind.
    """
    if isinstance(error, BaseException):
        for cause in _chain(error):
            cause.__traceback__ = None


def _own_class(error: BaseException) -> str | None:
    if isinstance(error, HTTPParseError) and error.args[:1] in _CUT_SHORT:
        return "reset"
    if isinstance(error, OSError) and error.errno in _CONNECT_NUMBERS:
        return "connect"
    for name, kinds in _CLASSES:
        if isinstance(error, kinds):
            return name
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(_DEPTH):
        if current is None:
            return
        yield current
        inner = [
            getattr(current, "original", None),
            getattr(current, "reason", None),
            *current.args,
            current.__cause__,
            current.__context__,
        ]
        current = next((cause for cause in inner if isinstance(cause, BaseException)), None)
