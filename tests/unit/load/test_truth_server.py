"""The truth server: its protocol, its queue and its page, without a load generator."""

from __future__ import annotations

import asyncio
import json
import time
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

import pytest

from escalade.load.truth_clock import AsyncTimer
from escalade.load.truth_http import listen
from escalade.load.truth_server import TruthServer, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

GET = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def chat(**changes: Any) -> bytes:
    asked = {"messages": [{"content": "four words to cache"}], "max_tokens": 3, "stream": True}
    body = json.dumps(asked | changes).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"X-Request-Id: 7\r\nConnection: close\r\n\r\n" + body


def talk(
    arguments: list[str], use: Callable[[Callable[..., Coroutine[Any, Any, bytes]]], Any]
) -> Any:
    """Serve in this process and let `use` ask; `ask(*pieces)` gives all bytes of the answer."""

    async def main() -> Any:
        options = parse(arguments)
        log = options.log.open("w") if options.log else None
        truth = TruthServer(options, log)
        listening = listen("127.0.0.1", 0, truth.handle)
        port = listening.getsockname()[1]

        async def ask(*pieces: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            try:
                return await reader.read()
            except ConnectionResetError:
                return b"reset"
            finally:
                writer.close()

        ask.port = port  # type: ignore[attr-defined]
        try:
            return await use(ask)
        finally:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()

    return asyncio.run(main())


def events(answer: bytes) -> list[str]:
    lines = answer.decode().splitlines()
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def metric(page: bytes, name: str) -> float:
    (line,) = [line for line in page.decode().splitlines() if line.startswith(f"truth_{name} ")]
    return float(line.split()[1])


def test_requests_are_cut_out_of_any_pieces_of_bytes() -> None:
    async def use(ask: Any) -> list[bytes]:
        keep = GET.replace(b"Connection: close\r\n", b"")
        return [await ask(GET[:9], GET[9:30], GET[30:]), await ask(keep + keep + GET)]

    single, pipelined = talk([], use)

    assert single.startswith(b"HTTP/1.1 200 OK")
    assert pipelined.count(b"HTTP/1.1 200 OK") == 3


def test_what_is_no_http_is_hung_up_on() -> None:
    async def use(ask: Any) -> bytes:
        return await ask(b"hello\r\n\r\n")  # type: ignore[no-any-return]

    assert talk([], use) in (b"", b"reset")


def test_a_stream_holds_a_role_the_tokens_the_usage_and_the_end(tmp_path: Path) -> None:
    async def use(ask: Any) -> bytes:
        return await ask(chat(stream_options={"include_usage": True}))  # type: ignore[no-any-return]

    log = tmp_path / "truth.jsonl"
    sent = events(talk(["--ttft-seconds", "0.01", "--log", str(log)], use))
    (line,) = [json.loads(text) for text in log.read_text().splitlines()]

    deltas = [json.loads(event)["choices"][0]["delta"] for event in sent[:4]]
    assert deltas == [{"role": "assistant", "content": None}, *[{"content": " tok"}] * 3]
    assert json.loads(sent[4])["usage"]["completion_tokens"] == 3
    assert {json.loads(event)["object"] for event in sent[:5]} == {"chat.completion.chunk"}
    assert sent[5:] == ["[DONE]"]
    assert (line["id"], line["tokens"], line["status"]) == ("7", 3, 200)
    assert line["first_token"] - line["arrival"] >= 0.01
    assert line["end"] - line["arrival"] >= 0.03  # and two gaps of 10 ms
    assert line["arrival_unix"] == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b'{"max_tokens": 1}', 400)],
)
def test_a_wrong_chat_request_is_the_clients_fault(body: bytes, status: int) -> None:
    async def use(ask: Any) -> bytes:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\n"
        return await ask(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)  # type: ignore[no-any-return]

    assert talk([], use).startswith(f"HTTP/1.1 {status}".encode())


def test_the_page_counts_requests_tokens_and_prompts_seen_before() -> None:
    async def use(ask: Any) -> bytes:
        for changes in ({}, {}, {"cache_prompt": False}):
            await ask(chat(stream=False, **changes))
        await ask(GET)
        return await ask(GET.replace(b"/x", b"/metrics"))  # type: ignore[no-any-return]

    page = talk(["--ttft-seconds", "0", "--itl-seconds", "0"], use)

    assert metric(page, "requests_total") == 4
    assert metric(page, "tokens_total") == 9
    assert metric(page, "cached_prompt_tokens_total") == 4
    assert metric(page, "requests_processing") == 0
    assert metric(page, "requests_deferred") == 0


def test_a_slot_serves_one_request_after_the_other(tmp_path: Path) -> None:
    async def use(ask: Any) -> float:
        began = time.monotonic()
        await asyncio.gather(*(ask(GET) for _ in range(6)))
        return time.monotonic() - began

    taken = talk(["--slots", "2", "--service-seconds", "0.03"], use)

    assert taken >= 0.09  # 6 requests, 2 at once, 30 ms each


def test_a_collapsing_service_takes_longer_only_while_too_many_wait() -> None:
    async def use(ask: Any) -> float:
        began = time.monotonic()
        await asyncio.gather(*(ask(GET) for _ in range(4)))
        return time.monotonic() - began

    steady = ["--slots", "1", "--service-seconds", "0.02", "--collapse-factor", "10"]
    taken = talk([*steady, "--collapse-beyond", "1"], use)

    # the second has two waiting behind it: 0.2 s; the others take 0.02 s
    assert taken >= 0.26
    assert talk([*steady, "--collapse-beyond", "3"], use) < taken / 2


def test_exponential_service_times_have_the_mean_asked_for(tmp_path: Path) -> None:
    async def use(_: Any) -> list[float]:
        options = parse(["--service", "exponential", "--service-seconds", "0.5", "--seed", "3"])
        truth = TruthServer(options, None)
        return [truth._service_seconds() for _ in range(4000)]

    drawn = talk([], use)

    assert sum(drawn) / 4000 == pytest.approx(0.5, rel=0.05)
    assert sum(seconds > 0.5 for seconds in drawn) / 4000 == pytest.approx(0.368, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], b"200"),
        (["--never-ready"], b"503"),
        (["--never-ready", "false"], b"200"),
        (["--start-delay-seconds", "60"], b"503"),
    ],
)
def test_health_says_whether_it_is_ready(arguments: list[str], status: bytes) -> None:
    async def use(ask: Any) -> bytes:
        return await ask(GET.replace(b"/x", b"/health"))  # type: ignore[no-any-return]

    assert talk(arguments, use).split()[1] == status


def test_a_flag_is_true_or_false() -> None:
    assert parse(["--never-ready", "1"]).never_ready is True
    with pytest.raises((SystemExit, ArgumentTypeError)):
        parse(["--never-ready", "perhaps"])


def test_a_request_whose_client_leaves_frees_its_slot() -> None:
    async def use(ask: Any) -> bytes:
        leaving = asyncio.ensure_future(ask(chat(max_tokens=100000)))
        await asyncio.sleep(0.1)
        leaving.cancel()
        return await asyncio.wait_for(ask(chat(max_tokens=1)), 5)  # type: ignore[no-any-return]

    answer = talk(["--slots", "1", "--ttft-seconds", "0", "--itl-seconds", "0.01"], use)

    assert events(answer)[-1] == "[DONE]"


def test_the_timer_wakes_in_order_and_never_early() -> None:
    async def main() -> list[float]:
        timer = AsyncTimer()
        woken: list[float] = []

        async def sleep(seconds: float) -> None:
            due = time.monotonic() + seconds
            await timer.sleep_until(due)
            assert time.monotonic() >= due
            woken.append(seconds)

        await asyncio.gather(*(sleep(seconds) for seconds in (0.03, 0.01, 0.02, 0.0, -1.0)))
        return woken

    assert asyncio.run(main())[-3:] == [0.01, 0.02, 0.03]


def test_chats_decode_together_and_share_the_time_of_a_step(tmp_path: Path) -> None:
    log = tmp_path / "log"
    batch = ["--batch-sequences", "2", "--step-seconds", "0.1", "--sequence-seconds", "0.05"]

    async def use(ask: Any) -> float:
        began = time.monotonic()
        await asyncio.gather(*(ask(chat(max_tokens=2, cache_prompt=False)) for _ in range(3)))
        return time.monotonic() - began

    taken = talk([*batch, "--prefill-seconds", "0.01", "--log", str(log)], use)

    # The first to come decodes alone, then with the second, which then shares with the third:
    # 0.15 + 0.2 + 0.2 + 0.15 s, and 0.04 s for each prompt of four words; or all begin as two.
    assert 0.7 < taken < 1.1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["tokens"] for line in lines] == [2, 2, 2]
    assert all(line["end"] - line["arrival"] > 0.3 for line in lines)


def test_a_prompt_that_was_seen_before_is_not_read_again() -> None:
    batch = ["--batch-sequences", "1", "--step-seconds", "0.001", "--prefill-seconds", "0.1"]

    async def use(ask: Any) -> tuple[float, float]:
        times = [time.monotonic()]
        for _ in range(2):
            await ask(chat(max_tokens=1))
            times.append(time.monotonic())
        return times[1] - times[0], times[2] - times[1]

    first, second = talk(batch, use)

    assert first > 0.4  # four words
    assert second < first / 2


def test_an_answer_that_is_not_streamed_is_decoded_in_the_batch_too() -> None:
    async def use(ask: Any) -> bytes:
        whole: bytes = await ask(chat(stream=False))
        return whole

    answer = talk(["--batch-sequences", "4"], use)

    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["usage"]["completion_tokens"] == 3


def test_a_client_that_leaves_frees_its_place_in_the_batch() -> None:
    batch = ["--batch-sequences", "1", "--step-seconds", "0.02", "--stream", "endless"]

    async def use(ask: Any) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", ask.port)
        writer.write(chat())
        await reader.readuntil(b"tok")
        writer.transport.abort()
        for _ in range(100):
            page: bytes = await ask(
                b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            )
            if b"truth_requests_processing 0" in page:
                break
            await asyncio.sleep(0.02)
        return page

    page = talk(batch, use)

    assert b"truth_requests_processing 0" in page
    assert b"truth_requests_deferred 0" in page


def test_a_batch_whose_steps_take_no_time_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--batch-sequences", "4", "--step-seconds", "0"])

    assert ended.value.code == 2
    assert "--batch-sequences needs --step-seconds above 0" in capsys.readouterr().err
