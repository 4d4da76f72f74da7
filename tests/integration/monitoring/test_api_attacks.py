"""The server of the API against hostile and broken clients: raw sockets, and a real process."""

from __future__ import annotations

import http.client
import re
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from api_server import TOKEN, Reply, Server, answer_on, serve
from escalade.monitoring.sessions.service import MonitoringService
from escalade.runtime import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEBIBYTE = 1 << 20
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tools.ensure("prometheus")
    tools.ensure("promtool")
    folder = tmp_path_factory.mktemp("served")
    running = serve(folder / "sessions", folder / "serve.log")
    yield running
    assert running.end() == 0
    service = MonitoringService(running.root)
    for session in service.sessions():
        service.delete(session, force=True)
    assert "Traceback" not in running.log.read_text()


HOSTILE = [
    "..",
    "%2e%2e",
    "..%2f..%2f..%2fetc",
    "%2fetc%2fpasswd",
    "..%5c..%5cwindows",
    "%00",
    "a%00b",
    "a%0d%0aX-Injected:%201",
    "%e2%80%ae",
    "%ff%fe",
    "%c0%ae%c0%ae",
    ".hidden",
    "-rf",
    "a" * 65,
    "a" * 30_000,
    "$(touch%20owned)",
    "%7b%7b7*7%7d%7d",
]


def operations(server: Server) -> Iterator[tuple[str, str]]:
    """Name every method and path with a parameter in it."""
    content = server.ask("GET", "/openapi.json").content
    for path, methods in content["paths"].items():
        if "{" in path:
            yield from ((method.upper(), path) for method in methods)


def everything_beside(folder: Path) -> set[Path]:
    return set(folder.parent.rglob("*"))


def test_no_hostile_name_in_a_path_reaches_a_file(server: Server) -> None:
    before = everything_beside(server.root)
    seen: dict[str, set[int]] = {}
    for method, path in operations(server):
        for name in HOSTILE:
            at = re.sub(r"\{[^}]+\}", lambda _, name=name: name, path)
            reply = server.ask(method, at)
            seen.setdefault(f"{method} {path}", set()).add(reply.status)
            assert 400 <= reply.status < 500, (method, at[:200], reply)
            assert "root:" not in str(reply.content)

    assert len(seen) > 10
    assert everything_beside(server.root) == before
    assert server.ask("GET", "/v1/sessions").status == 200


LABELS = [
    'a"} or vector(1) #',
    "a', job: 'b",
    "two\nlines",
    "- x: &a [*a]",
    "${HOME} $1 {{ .Value }} %n",
    "!!python/object:os.system",
    "\u202egnp.exe",
    "\x00",
    "\ud800",
    "\\",
    "\u00fc" * 128,
]


@pytest.mark.slow
def test_hostile_labels_are_labels_and_nothing_else(server: Server) -> None:
    assert server.ask("POST", "/v1/sessions", {"session": "labels"}).status == 201
    started = server.ask("POST", "/v1/sessions/labels/start", {})
    assert started.content["live"], started
    taken = set()
    for number, label in enumerate(LABELS):
        service = {"name": label, "endpoint": f"127.0.0.1:{number + 1}"}
        body = {"services": [service], "wait_seconds": 0}
        reply = server.ask("POST", "/v1/sessions/labels/services", body)
        assert reply.status in {200, 422}, (label, reply)
        if reply.status == 200:
            assert reply.content["live"]
            taken.add(label)

    found = server.ask("GET", "/v1/sessions/labels").content
    assert {target["name"] for target in found["targets"]} == taken
    assert len(found["targets"]) == len(taken)
    assert found["state"] == "running"
    jobs = set()
    deadline = time.monotonic() + 30
    while jobs != taken and time.monotonic() < deadline:
        reply = server.ask("POST", "/v1/sessions/labels/query", {"expression": "up"})
        jobs = {series["labels"]["job"] for series in reply.content["series"]}
        time.sleep(0.2)
    assert jobs == taken
    assert server.ask("DELETE", "/v1/sessions/labels?force=true").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.0.0.1",
        "169.254.169.254",
        "[::ffff:10.0.0.1]",
        "",
    ],
)
def test_a_name_that_a_browser_was_pointed_at_is_refused(server: Server, host: str) -> None:
    reply = server.send(server.head("GET", "/v1/sessions", host or " "))

    assert 400 <= reply.status < 500
    assert "sessions" not in reply.content


def test_a_host_within_the_request_line_opens_nothing(server: Server) -> None:
    absolute = server.send(server.head("GET", "http://evil.example/v1/sessions", "evil.example"))
    old = server.send(b"GET /v1/sessions HTTP/1.0\r\n\r\n")

    assert 400 <= absolute.status < 500
    assert 400 <= old.status < 500


def test_what_two_readers_would_read_differently_is_refused(server: Server) -> None:
    twice = ("Content-Length: 2", "Transfer-Encoding: chunked")
    heads = [
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: +2",),
        ("Content-Length: -1",),
        ("Content-Length: 1e1",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("X: a\rb",),
    ]
    for lines in heads:
        reply = server.send(server.head("POST", "/v1/sessions", None, *lines), b"{}")
        assert reply.status in {400, 501}, lines

    smuggled = server.head("DELETE", "/v1/sessions/kept")
    server.ask("POST", "/v1/sessions", {"session": "kept"})
    server.send(server.head("GET", "/v1/sessions", None, *twice), b"0\r\n\r\n" + smuggled)
    assert server.ask("GET", "/v1/sessions/kept").status == 200
    assert server.ask("DELETE", "/v1/sessions/kept").status == 200


def test_a_body_without_a_length_is_bounded_too(server: Server) -> None:
    head = server.head("POST", "/v1/sessions", None, "Transfer-Encoding: chunked")
    process = psutil.Process(server.process.pid)
    server.send(head, b"2\r\n{}\r\n0\r\n\r\n")
    before = process.memory_info().rss

    reply = flood(server, head, 64)

    assert reply is None or reply.status == 413
    assert process.memory_info().rss - before < 16 * MEBIBYTE
    assert server.ask("GET", "/v1/sessions").status == 200


def flood(server: Server, head: bytes, mebibytes: int) -> Reply | None:
    """Send a body until it is refused; None where the server hung up before its answer was read."""
    with server.open() as line:
        try:
            line.sendall(head)
            for _ in range(16 * mebibytes):
                line.sendall(CHUNK)
            line.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            return answer_on(line)
        except (ConnectionResetError, http.client.RemoteDisconnected):
            return None


def test_a_length_that_is_said_is_refused_before_the_body_comes(server: Server) -> None:
    for length in (MEBIBYTE + 1, 10**12, 10**30):
        head = server.head("POST", "/v1/sessions", None, f"Content-Length: {length}")
        assert server.send(head).status in {400, 413}


def test_a_client_that_hangs_up_in_its_body_has_asked_for_nothing(server: Server) -> None:
    server.ask("POST", "/v1/sessions", {"session": "half"})
    for method, path in (("POST", "/v1/sessions/half/start"), ("DELETE", "/v1/sessions/half")):
        with server.open() as line:
            line.sendall(server.head(method, path, None, "Content-Length: 40") + b'{"wait_sec')
            line.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
    time.sleep(1)

    found = server.ask("GET", "/v1/sessions/half")
    assert found.status == 200
    assert found.content["state"] == "created"
    assert server.ask("DELETE", "/v1/sessions/half").status == 200


def test_slow_and_silent_clients_keep_nobody_out(server: Server) -> None:
    head = server.head("POST", "/v1/sessions", None, "Content-Length: 1000")
    lines = [server.open() for _ in range(40)]
    try:
        for number, line in enumerate(lines):
            line.sendall(head[:60] if number % 2 else head + b'{"session"')
        assert server.ask("GET", "/v1/sessions").status == 200
        assert server.ask("POST", "/v1/sessions", {"session": "beside"}).status == 201
    finally:
        for line in lines:
            line.close()
    assert server.ask("DELETE", "/v1/sessions/beside").status == 200


@pytest.mark.slow
def test_silent_connections_lose_their_place(server: Server) -> None:
    """As many as the server takes at once, none of which has a token or ever asks."""
    words = server.head("GET", "/v1/sessions")[:40]
    lines = [server.open() for _ in range(300)]
    try:
        for line in lines:
            line.sendall(words)
        deadline = time.monotonic() + 60
        while server.ask("GET", "/health").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert {heard(line) for line in lines} == {b""}
    finally:
        for line in lines:
            line.close()


@pytest.mark.slow
def test_who_asks_and_does_not_read_takes_nobodys_place(server: Server) -> None:
    """What a stranger may ask for without a token, over and over on lines that are not read."""
    asked = b"GET /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 100
    lines = []
    try:
        for _ in range(80):
            line = socket.socket()
            lines.append(line)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            line.connect(("127.0.0.1", server.port))
            line.sendall(asked)
        assert server.ask("GET", "/v1/sessions").status == 200
        kept = psutil.Process(server.process.pid)
        deadline = time.monotonic() + 60
        while len(kept.net_connections("tcp")) > 20:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        for line in lines:
            line.close()


def heard(line: socket.socket) -> bytes:
    """Wait for what a server says, or until it has hung up."""
    try:
        return line.recv(1)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"session":' * 50_000,
        b'{"session": ' + b"9" * 100_000 + b"}",
        b'{"session": "a", "port": 1e999}',
        b'{"session": "a", "scrape_interval_seconds": NaN}',
        b'{"session": "a", "session": "b", "port": true}',
        b'{"session": "\\ud800"}',
        b"\xff\xfe{}",
        b"\x00",
        b"",
        b"null",
        b'"session"',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bodies_that_break_readers_are_refused_in_words(server: Server, body: bytes) -> None:
    length = f"Content-Length: {len(body)}"
    reply = server.send(server.head("POST", "/v1/sessions", None, length), body)

    assert reply.status in {400, 422}
    assert reply.content["code"]
    assert reply.content["message"]
    assert "Traceback" not in reply.content["message"]
    assert len(reply.content["message"]) < 2000


def test_the_token_is_found_nowhere(server: Server) -> None:
    server.ask("POST", "/v1/sessions", {"session": "quiet"})
    server.ask("GET", f"/v1/sessions?access_token={TOKEN}")
    wrong = f"Authorization: Bearer {TOKEN}x"
    plain = f"GET /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{wrong}\r\n\r\n"
    assert server.send(plain.encode()).status == 401
    server.ask("DELETE", "/v1/sessions/quiet")

    process = psutil.Process(server.process.pid)
    assert TOKEN not in " ".join(process.cmdline())
    assert TOKEN not in str(process.environ())
    assert TOKEN not in server.log.read_text()
    kept = [path for path in server.root.rglob("*") if path.is_file()]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "line",
    [
        "X-Nothing: 1",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        f"Authorization: Basic {TOKEN}",
        f"Authorization: {TOKEN}",
        f"Authorization: Bearer {TOKEN[:-1]}",
        f"Authorization: Bearer {TOKEN} {TOKEN}",
        f"Authorization: Bearer {TOKEN.upper()}",
        "Authorization: Bearer \xff\xfe",
        f"Cookie: token={TOKEN}",
    ],
)
def test_without_the_token_nothing_is_told_or_done(server: Server, line: str) -> None:
    for method, path in operations(server):
        at = re.sub(r"\{[^}]+\}", "some", path)
        words = f"{method} {at} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{line}\r\n\r\n"
        assert server.send(words.encode("latin-1")).status == 401, (method, at)
