"""The chat endpoint of the truth server: tokens at known times, and streams that break."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from escalade.load.truth_batch import Batch
    from escalade.load.truth_clock import AsyncTimer
    from escalade.load.truth_http import Exchange

STREAMS = ("whole", "malformed", "truncated", "silent", "endless")
PIECE = " tok"
_DONE = b"data: [DONE]\n\n"
_FOREVER = 1e9
_BREAKS_AFTER = 2  # tokens
_DIMENSIONS = 8


@dataclass(frozen=True)
class ChatRequest:
    """What a request asks for.

    Parameters
    ----------
    texts
        Those of all messages, or the prompt.
    max_tokens
        Tokens to generate.
    stream, include_usage, cache_prompt
        As in OpenAI's and llama.cpp's interfaces.
    chat
        Whether it is a chat, else a text completion.
    model
        Name that the answer gives back.
    """

    texts: tuple[str, ...]
    max_tokens: int
    stream: bool
    include_usage: bool
    cache_prompt: bool
    chat: bool
    model: str = "truth"

    @property
    def tokens(self) -> int:
        """Number of its words."""
        return sum(len(text.split()) for text in self.texts)

    @classmethod
    def read(cls, body: bytes, *, chat: bool) -> ChatRequest:
        """Read the body of a request.

        Raises
        ------
        ValueError
            When it is no JSON, or `messages`, `prompt` or `max_tokens` is missing or wrong.
        """
        try:
            asked = json.loads(body)
            messages = asked["messages"] if chat else [{"content": asked["prompt"]}]
            return cls(
                texts=tuple(str(message["content"]) for message in messages),
                max_tokens=int(asked.get("max_completion_tokens") or asked["max_tokens"]),
                stream=bool(asked.get("stream")),
                include_usage=bool((asked.get("stream_options") or {}).get("include_usage")),
                cache_prompt=bool(asked.get("cache_prompt", True)),
                chat=chat,
                model=str(asked.get("model", "truth")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"messages, prompt or max_tokens: {error!r}") from error

    def answer(self, *, whole: bool = False) -> dict[str, Any]:
        """Give what every answer and every event of a stream begins with, which clients go by."""
        kind, chunk = ("chat.completion", ".chunk") if self.chat else ("text_completion", "")
        return {
            "id": "chatcmpl-truth" if self.chat else "cmpl-truth",
            "object": kind if whole else kind + chunk,
            "created": int(time.time()),
            "model": self.model,
        }


@dataclass(frozen=True)
class ChatModel:
    """Generates tokens at known times.

    Parameters
    ----------
    timer
        Wakes it.
    ttft_seconds
        From the slot to the first token.
    itl_seconds
        Between tokens.
    stream
        How streams end, one of `STREAMS`.
    batch
        Decodes all answers together; None decodes each by itself.
    """

    timer: AsyncTimer
    ttft_seconds: float
    itl_seconds: float
    stream: str
    batch: Batch | None = None

    def tokens(self, request: ChatRequest, usage: dict[str, Any]) -> AsyncGenerator[float]:
        """Yield the time of each token, as it comes; without end if the stream is endless."""
        count = inf if self.stream == "endless" else request.max_tokens
        if self.batch is None:
            return self._alone(count)
        return self.batch.tokens(usage["prompt_tokens"] - usage["cached_tokens"], count)

    async def _alone(self, count: float) -> AsyncGenerator[float]:
        first = time.monotonic() + self.ttft_seconds
        for number in itertools.count():
            if number >= count:
                return
            await self.timer.sleep_until(first + number * self.itl_seconds)
            yield time.monotonic()

    async def count(self, request: ChatRequest, usage: dict[str, Any]) -> None:
        """Wait for all tokens of an answer that is sent whole; `usage` counts along."""
        async with aclosing(self.tokens(request, usage)) as tokens:
            async for at in tokens:
                usage.setdefault("first_token", at)
                usage["completion_tokens"] += 1

    async def write(self, exchange: Exchange, request: ChatRequest, usage: dict[str, Any]) -> None:
        """Stream an answer; `usage` counts along, and gets the time of the first token."""
        exchange.start_stream()
        head = request.answer()
        if request.chat:  # no token: a trap
            exchange.send(_event(head, {"delta": {"role": "assistant", "content": None}}))
        token = _event(head, {"delta": {"content": PIECE}} if request.chat else {"text": PIECE})
        async with aclosing(self.tokens(request, usage)) as tokens:
            async for at in tokens:
                usage.setdefault("first_token", at)
                usage["completion_tokens"] += 1
                exchange.send(token)
                broken = usage["completion_tokens"] == _BREAKS_AFTER
                if broken and await self._breaks(exchange):
                    return
        if request.include_usage:
            exchange.send(_sse({**head, "choices": [], "usage": openai_usage(usage)}))
        exchange.send(_DONE)
        exchange.end_stream()

    async def _breaks(self, exchange: Exchange) -> bool:
        if self.stream == "malformed":
            exchange.send(b"data: {not json\n\n")
            exchange.end_stream()
        elif self.stream == "truncated":
            exchange.abort()
        elif self.stream == "silent":
            await self.timer.sleep_until(_FOREVER)
        return self.stream in ("malformed", "truncated", "silent")


def completion(request: ChatRequest, usage: dict[str, Any]) -> bytes:
    """Give the body of an answer that is not streamed."""
    text = PIECE * usage["completion_tokens"]
    answer = {"message": {"role": "assistant", "content": text}} if request.chat else {"text": text}
    choice = {"index": 0, **answer, "finish_reason": "length"}
    content = request.answer(whole=True) | {"choices": [choice], "usage": openai_usage(usage)}
    return json.dumps(content).encode()


def openai_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Give the token counts in the words of the interface."""
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"],
        "prompt_tokens_details": {"cached_tokens": usage["cached_tokens"]},
    }


def embedding(body: bytes, usage: dict[str, Any]) -> bytes:
    """Give a vector for the text of a request, and count its words as tokens.

    Raises
    ------
    ValueError
        When the request is no JSON or has no `input`.
    """
    try:
        words = str(json.loads(body)["input"]).split()
    except (KeyError, TypeError) as error:
        raise ValueError(f"input: {error!r}") from error
    usage["prompt_tokens"] = len(words)
    vector = [len(word) / 10 for word in words[:_DIMENSIONS]]
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    return json.dumps({"object": "list", "data": data, "usage": openai_usage(usage)}).encode()


def _event(head: dict[str, Any], choice: dict[str, Any]) -> bytes:
    return _sse({**head, "choices": [{"index": 0, **choice}]})


def _sse(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()
