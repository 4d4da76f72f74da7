"""Exceptions of the HTTP clients, as they really come, and their classes."""

from __future__ import annotations

import errno
import gc
import socket
import ssl
import threading
import weakref

import pytest
import requests
import urllib3
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import RetriesExceeded, UserAgent

from escalade.load.faults import error_class, forget_tracebacks
from escalade.load.records import ERRORS
from escalade.load.sse import MalformedStreamError


def by(outer: Exception, inner: BaseException) -> BaseException:
    """Give `outer` as raised from `inner`."""
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "status", "named"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), 0, "connect"),
        (OSError(errno.EHOSTUNREACH, "no route"), 0, "connect"),
        (OSError(errno.EMFILE, "no descriptor left"), 0, "connect"),
        (socket.gaierror(-2, "unknown name"), 0, "connect"),
        (requests.ConnectTimeout(), 0, "connect"),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), 0, "connect"),
        (ssl.SSLError(1, "wrong version number"), 0, "connect"),
        (by(requests.exceptions.SSLError(), ssl.SSLError(1, "no protocol")), 0, "connect"),
        (ssl.SSLEOFError(8, "cut off"), 0, "reset"),
        (by(requests.ConnectionError(), ConnectionRefusedError(111, "refused")), 0, "connect"),
        (TimeoutError("too long"), 0, "timeout"),
        (RetriesExceeded("http://h/", 0, original=TimeoutError("too long")), 0, "timeout"),
        (requests.ReadTimeout(), 0, "timeout"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), 0, "reset"),
        (BrokenPipeError(errno.EPIPE, "pipe"), 0, "reset"),
        (HTTPConnectionClosed("closed"), 0, "reset"),
        (
            requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.")),
            0,
            "reset",
        ),
        (ConnectionResetError(errno.ECONNRESET, "in the middle"), 200, "reset"),
        (HTTPParseError("no HTTP"), 0, "malformed"),
        (MalformedStreamError("no event"), 200, "malformed"),
        (ValueError("no JSON"), 200, "malformed"),
        (requests.HTTPError("404"), 404, "http_4xx"),
        (requests.HTTPError("503"), 503, "http_5xx"),
        (RuntimeError("the answer is wrong"), 200, "malformed"),
        (RuntimeError("a bug in the task"), 0, "aborted"),
    ],
)
def test_an_error_has_its_class(error: BaseException, status: int, named: str) -> None:
    assert named in ERRORS
    assert error_class(error, status) == named


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__context__, other.__context__ = other, one

    assert error_class(one, 0) == "aborted"


def test_a_forgotten_error_frees_its_frames_without_the_collector() -> None:
    class Held:
        pass

    def fail() -> tuple[BaseException, weakref.ref[Held]]:
        held = Held()
        try:
            int("no number")
        except ValueError as caught:
            error = caught  # frame -> error -> traceback -> frame
        return error, weakref.ref(held)

    gc.disable()
    try:
        error, held = fail()
        assert held() is not None
        forget_tracebacks(error)
        del error
        assert held() is None
    finally:
        gc.enable()


def test_forgetting_takes_anything_that_locust_calls_an_exception() -> None:
    for nothing in (None, "only text"):
        forget_tracebacks(nothing)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b"", "reset"),
        (b"HTTP/1.1 200", "reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "reset"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "reset"),
        (b"hello\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n", "malformed"),
    ],
)
def test_an_answer_that_is_cut_short_is_told_from_one_that_is_no_http(
    answer: bytes, named: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(HTTPParseError) as caught:
            UserAgent(max_retries=0).urlopen(url, method="POST", payload=b"x").read()

    assert error_class(caught.value, 0) == named
