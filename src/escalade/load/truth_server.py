"""A service whose true times are known: the instrument is calibrated against it.

`escalade truth-server --port 0 --port-file F --log F.jsonl ...` serves

* `POST /v1/chat/completions` and `/v1/completions`: an answer of `max_tokens` tokens, the
  first after `--ttft-seconds`, the others `--itl-seconds` apart, as a stream or whole;
* `POST /v1/embeddings`: a small vector after `--service-seconds`;
* `GET /health` and `GET /metrics` (Prometheus text format);
* any other path: an answer after `--service-seconds`.

At most `--slots` requests are served at once, the others wait in order: with
`--service constant` an M/D/c queue under Poisson arrivals, with `exponential` an
M/M/c queue. With `--batch-sequences` completions are decoded together instead, a token of
each in a step that lasts `--step-seconds` and more with each sequence and each token of a
prompt that it reads. It can freeze, fail, die, leak, slow down and break its streams. Every request leaves one
line in the log with its times on CLOCK_MONOTONIC and in Unix seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from escalade.files import write_text
from escalade.load.truth_ageing import Ageing
from escalade.load.truth_batch import Batch, BatchRules
from escalade.load.truth_chat import PIECE, STREAMS, ChatModel, ChatRequest, completion, embedding
from escalade.load.truth_clock import AsyncTimer
from escalade.load.truth_counts import Counts
from escalade.load.truth_http import Exchange, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PROGRAM = "escalade truth-server"
DIED = 3  # exit code of a death that was asked for
_CHAT, _COMPLETION, _EMBEDDING = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


class TruthServer:
    """The service; made inside a running asyncio loop.

    Parameters
    ----------
    options
        Of the command line.
    log
        Gets one JSON line per request, or None.
    """

    def __init__(self, options: argparse.Namespace, log: IO[str] | None) -> None:
        self._options = options
        self._log = log
        self._counts = Counts()
        self._draw = random.Random(options.seed)
        self._timer = AsyncTimer()
        self._batch = self._batching(options)
        self._ageing = Ageing(options.leak_bytes, options.drift_seconds_per_hour)
        self._model = ChatModel(
            self._timer, options.ttft_seconds, options.itl_seconds, options.stream, self._batch
        )
        self._slots = asyncio.Semaphore(options.slots or sys.maxsize)
        self._unix_offset = time.time() - time.monotonic()
        self._ready_at = time.monotonic() + options.start_delay_seconds
        self._arrived = 0
        self._prompts: set[tuple[str, ...]] = set()

    def _batching(self, options: argparse.Namespace) -> Batch | None:
        if not options.batch_sequences:
            return None
        steps = (options.step_seconds, options.sequence_seconds, options.prefill_seconds)
        return Batch(BatchRules(options.batch_sequences, *steps), self._timer, self._counts)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        ready = not self._options.never_ready and time.monotonic() >= self._ready_at
        if exchange.path == "/metrics":
            exchange.answer(200, self._counts.page(), "text/plain; version=0.0.4")
        elif not ready:
            exchange.answer(503, b'{"status": "loading"}')
        elif exchange.path == "/health":
            exchange.answer(200, b'{"status": "ok"}')
        else:
            await self._serve(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        self._arrived += 1
        self._bring_about()
        await self._age()
        usage: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "cached_tokens": 0}
        fails = self._draw.random() < self._options.error_ratio
        service = self._service_seconds()
        status = 0  # no answer: the client went away
        try:
            if fails:
                status = self._options.error_status
                exchange.answer(status, b'{"error": "as asked for"}')
            elif exchange.path in (_CHAT, _COMPLETION):
                status = await self._chat(exchange, usage)
            else:
                async with self._slot():
                    seconds = service * self._slowness()
                    await self._timer.sleep_until(time.monotonic() + seconds)
                status = self._plain(exchange, usage)
        finally:
            self._counts.requests += 1
            self._counts.tokens += usage["completion_tokens"]
            self._write_line(exchange, status, usage)

    def _bring_about(self) -> None:
        """Die or freeze, as asked for; times count from the first request."""
        options = self._options
        if 0 < options.die_after_requests < self._arrived:
            os._exit(DIED)
        loop = asyncio.get_running_loop()
        if self._arrived == 1 and options.die_after_seconds > 0:
            loop.call_later(options.die_after_seconds, os._exit, DIED)
        if self._arrived == 1 and options.freeze_seconds > 0:
            loop.call_later(options.freeze_at_seconds, time.sleep, options.freeze_seconds)

    async def _age(self) -> None:
        self._ageing.leak()
        if (delay := self._ageing.delay()) > 0:
            await self._timer.sleep_until(time.monotonic() + delay)

    def _service_seconds(self) -> float:
        mean: float = self._options.service_seconds
        if self._options.service == "exponential" and mean > 0:
            return self._draw.expovariate(1 / mean)
        return mean

    def _slowness(self) -> float:
        """Give by what everything takes longer: more when too many wait, as under thrashing."""
        beyond: int = self._options.collapse_beyond
        factor: float = self._options.collapse_factor
        return factor if 0 < beyond < self._counts.deferred else 1.0

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._counts.deferred += 1
        try:
            await self._slots.acquire()
        finally:
            self._counts.deferred -= 1
        self._counts.processing += 1
        try:
            yield
        finally:
            self._counts.processing -= 1
            self._slots.release()

    @staticmethod
    def _plain(exchange: Exchange, usage: dict[str, Any]) -> int:
        try:
            body = b'{"ok": true}'
            if exchange.path == _EMBEDDING:
                body = embedding(exchange.body, usage)
        except ValueError as error:
            return _refuse(exchange, error)
        exchange.answer(200, body)
        return 200

    async def _chat(self, exchange: Exchange, usage: dict[str, Any]) -> int:
        try:
            request = ChatRequest.read(exchange.body, chat=exchange.path == _CHAT)
        except ValueError as error:
            return _refuse(exchange, error)
        usage["prompt_tokens"] = request.tokens
        usage["cached_tokens"] = self._cached_tokens(request)
        async with nullcontext() if self._batch else self._slot():
            if request.stream:
                await self._model.write(exchange, request, usage)
            else:
                await self._model.count(request, usage)
                exchange.answer(200, completion(request, usage))
        self._prompts.add((*request.texts, PIECE * usage["completion_tokens"]))
        return 200

    def _cached_tokens(self, request: ChatRequest) -> int:
        """Count the words that a prompt has in common, message by message, with what was said before."""
        begins = [request.texts[:n] for n in range(len(request.texts), 0, -1)]
        known = next((begin for begin in begins if begin in self._prompts), ())
        self._prompts.add(request.texts)
        cached = sum(len(text.split()) for text in known) if request.cache_prompt else 0
        self._counts.cached += cached
        return cached

    def _write_line(self, exchange: Exchange, status: int, usage: dict[str, Any]) -> None:
        if self._log is None:
            return
        times = {
            "arrival": exchange.arrival,
            "first_token": usage.get("first_token"),
            "end": time.monotonic(),
        }
        unix = {
            f"{name}_unix": None if at is None else at + self._unix_offset
            for name, at in times.items()
        }
        request_id = exchange.headers.get("x-request-id")
        what = {"id": request_id, "path": exchange.path, "status": status}
        what["left"] = status == 0  # the client went away before the end
        tokens = {"tokens": usage["completion_tokens"], "cached": usage["cached_tokens"]}
        self._log.write(json.dumps(what | times | unix | tokens) + "\n")
        self._log.flush()  # a death must not take the truth along


def _refuse(exchange: Exchange, error: ValueError) -> int:
    exchange.answer(400, json.dumps({"error": str(error)}).encode())
    return 400


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with options.log.open("w", encoding="utf-8") if options.log else nullcontext() as log:
        truth = TruthServer(options, log)
        listening = listen(options.host, options.port, truth.handle)
        port = listening.getsockname()[1]
        print(f"listening on http://{options.host}:{port}", flush=True)  # noqa: T201 - its log
        if options.port_file:
            write_text(options.port_file, f"{port}\n")
        await stop.wait()
        loop.remove_reader(listening)
        listening.close()


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; every figure of 0 means never, none or no limit."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=__doc__.split("\n\n", 1)[1] if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--port-file", type=Path, help="gets the port once it listens")
    add("--log", type=Path, help="gets one JSON line per request")
    add("--seed", type=int, default=0, help="of exponential times and errors")
    add("--slots", type=int, default=0, help="requests served at once")
    add("--service", choices=("constant", "exponential"), default="constant")
    add("--service-seconds", type=float, default=0.0, help="(mean) time of a plain request")
    add("--collapse-beyond", type=int, default=0, help="waiting requests that are too many")
    add(
        "--collapse-factor", type=float, default=2.0, help="plain requests then take so much longer"
    )
    add("--ttft-seconds", type=float, default=0.05, help="from the slot to the first token")
    add("--itl-seconds", type=float, default=0.01, help="between tokens")
    add("--batch-sequences", type=int, default=0, help="decode so many together, not in slots")
    add("--step-seconds", type=float, default=0.01, help="what a step of decoding takes")
    add("--sequence-seconds", type=float, default=0.0, help="more of each sequence in it")
    add("--prefill-seconds", type=float, default=0.0, help="more of each prompt token it reads")
    add("--stream", choices=STREAMS, default="whole", help="how streams end")
    add("--error-ratio", type=float, default=0.0, help="share of requests that fail")
    add("--error-status", type=int, default=500)
    add("--start-delay-seconds", type=float, default=0.0, help="not ready before")
    add("--never-ready", type=_flag, nargs="?", const=True, default=False)
    add("--die-after-requests", type=int, default=0, help="dies at the next one")
    add("--die-after-seconds", type=float, default=0.0, help="after the first request")
    add("--freeze-at-seconds", type=float, default=0.0, help="after the first request")
    add("--freeze-seconds", type=float, default=0.0, help="how long it answers nothing")
    add("--leak-bytes", type=int, default=0, help="memory that every request leaves behind")
    add("--drift-seconds-per-hour", type=float, default=0.0, help="by what latency grows")
    options = parser.parse_args(argv)
    if options.batch_sequences and options.step_seconds <= 0:
        parser.error("--batch-sequences needs --step-seconds above 0: a step takes some time")
    return options


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes"):
        return True
    if text.lower() in ("0", "false", "no", ""):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def main(argv: Sequence[str] | None = None) -> None:
    """Serve as the command line says."""
    asyncio.run(serve(parse(argv)))


if __name__ == "__main__":
    main()
