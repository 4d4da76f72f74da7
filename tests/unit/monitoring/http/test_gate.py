"""What the API lets in: tokens, hosts, origins, bodies."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from escalade.monitoring.http.gate import Gate
from escalade.monitoring.http.limits import Limits
from escalade.monitoring.http.tokens import TokenHash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.testclient import TestClient
    from starlette.types import Message, Receive, Scope, Send

TOKEN = "0123456789abcdef-only-for-tests"  # noqa: S105 - opens nothing


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Authorization": ""},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/sessions/x", "/nothing", "/docs/"])
def test_whoever_has_not_the_token_is_refused_whatever_is_asked(
    guarded: TestClient, given: dict[str, str], path: str
) -> None:
    headers = {name: value.encode("latin-1") for name, value in given.items()}
    bare = headers or {"authorization": b""}
    answer = guarded.request("GET", path, headers=bare)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthorized"
    assert TOKEN not in answer.text


def test_the_token_opens(guarded: TestClient) -> None:
    assert guarded.get("/v1/sessions").status_code == 200
    lower = {"Authorization": f"bearer {TOKEN}"}  # the scheme has no case
    assert guarded.get("/v1/sessions", headers=lower).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
def test_what_tells_nothing_of_sessions_needs_no_token(guarded: TestClient, path: str) -> None:
    answer = guarded.get(path, headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def layers(outermost: Any) -> Iterator[Any]:
    while outermost is not None:
        yield outermost
        outermost = getattr(outermost, "app", None)


def test_the_token_itself_is_kept_nowhere(
    guarded: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    guarded.get("/v1/sessions")
    app: Any = guarded.app

    gate = next(layer for layer in layers(app.middleware_stack) if isinstance(layer, Gate))
    kept = [gate._token._hash, vars(gate), vars(app.state), repr(vars(app))]
    assert TOKEN not in repr(kept)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", "10.0.0.1", "", "[::2]"]
)
def test_a_name_that_is_not_loopback_is_refused_on_loopback(local: TestClient, host: str) -> None:
    answer = local.get("/v1/sessions", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "localhost:9000", "LOCALHOST", "[::1]:8642", "127.1.2.3"]
)
def test_names_of_loopback_are_taken_through_any_port(local: TestClient, host: str) -> None:
    assert local.get("/v1/sessions", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_pages_of_other_sites_are_refused(local: TestClient, origin: str) -> None:
    answer = local.post("/v1/sessions/x/stop", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")


def test_its_own_pages_are_not(local: TestClient) -> None:
    answer = local.get("/v1/sessions", headers={"Origin": "http://127.0.0.1:8642"})
    assert answer.status_code == 200


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("content", [b" " * 20_001, pieces(21_000)], ids=["sized", "chunked"])
def test_a_body_that_is_too_large_is_refused_however_it_is_sent(
    local: TestClient, content: Any
) -> None:
    answer = local.post("/v1/sessions", content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def through(gate: Gate, messages: list[Message], method: str = "POST") -> list[Message]:
    """Send a request whose body comes as it is said, and then nothing more."""
    sent: list[Message] = []
    left = list(messages)

    async def receive() -> Message:
        if left:
            return left.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/", "headers": [(b"host", b"localhost")]}
    await gate(scope, receive, send)
    return sent


def told(sent: list[Message]) -> tuple[int, str]:
    return sent[0]["status"], json.loads(sent[1]["body"])["code"]


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    gate = Gate(never, token=None, loopback_only=True, limits=Limits(body_seconds=0.05))
    begun: Message = {"type": "http.request", "body": b"{", "more_body": True}
    assert told(asyncio.run(through(gate, [begun]))) == (408, "slow_body")


def test_who_hangs_up_in_the_body_has_asked_for_nothing() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    gate = Gate(never, token=None, loopback_only=True, limits=Limits())
    begun: Message = {"type": "http.request", "body": b"{", "more_body": True}
    for messages in ([{"type": "http.disconnect"}], [begun, {"type": "http.disconnect"}]):
        assert asyncio.run(through(gate, messages, "DELETE")) == []


def test_beyond_so_many_at_once_the_next_one_is_told_to_come_back() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    whole: Message = {"type": "http.request", "body": b"", "more_body": False}
    gate = Gate(waits, token=None, loopback_only=True, limits=Limits(requests=2))

    async def crowd() -> list[Message]:
        first = [asyncio.create_task(through(gate, [whole])) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        refused = await through(gate, [whole])
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)
        return refused

    refused = asyncio.run(crowd())
    assert told(refused) == (503, "busy")
    assert (b"retry-after", b"1") in refused[0]["headers"]


def test_a_defect_is_told_without_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("secret of the server")

    gate = Gate(broken, token=None, loopback_only=True, limits=Limits())
    whole: Message = {"type": "http.request", "body": b"", "more_body": False}
    sent = asyncio.run(through(gate, [whole]))

    assert told(sent) == (500, "internal")
    assert b"secret" not in sent[1]["body"]
    assert "ZeroDivisionError" in caplog.text  # for whoever runs the server


def test_a_websocket_is_closed() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    gate = Gate(never, token=TokenHash(TOKEN), loopback_only=False, limits=Limits())
    asyncio.run(gate({"type": "websocket", "path": "/", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
