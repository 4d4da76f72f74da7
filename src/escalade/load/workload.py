"""What a workload file needs: the request that is due, the parameters, the stream.

A workload is a locustfile. In a step its tasks run once per planned arrival; under
plain locust, without a step, they run as any locust task does, with made-up prompts.
"""

# mypy: allow-untyped-calls
# (locust's responses have few types)

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from geventhttpclient.response import HTTPParseError

from escalade.load.adapter import session
from escalade.load.answer import Answer
from escalade.load.arrival import Arrival
from escalade.load.clock import now
from escalade.load.payloads import Payloads
from escalade.load.records import Records
from escalade.load.rows import PlannedRows
from escalade.load.schedule import StepPlan
from escalade.load.sse import MalformedStreamError, SseParser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from geventhttpclient.response import HTTPSocketResponse
    from locust.contrib.fasthttp import FastHttpSession, ResponseContextManager

    from escalade.load.http_user import LeanSession
    from escalade.load.prompts import Messages

DONE = "[DONE]"  # how OpenAI's protocol ends a stream
_INPUT_TOKENS, _OUTPUT_TOKENS = 32, 16  # of a request outside a step
_MADE_UP = Payloads()
_counter = itertools.count()


def due() -> Arrival:
    """Give the request that the calling task has to send.

    Returns
    -------
    Arrival
        With `payload_id`, `input_tokens`, `output_tokens`, and the methods that
        note what locust's request event does not tell: `chunk`, `tokens`, `received`,
        and `note` for figures of the workload's own.
    """
    running = session()
    arrival = running.current() if running else None
    return arrival or _unplanned()


def parameters() -> Mapping[str, Any]:
    """Give the workload's parameters, as the campaign set them; empty outside a step.

    Of a mix those of the request that the calling task has to send, and before a user's
    first request those of the first workload of its file.
    """
    running = session()
    return running.parameters() if running else {}


def workers() -> int:
    """Give the number of processes that share the step; 1 outside a step."""
    running = session()
    return running.step.workers if running else 1


def prompt(request: Arrival) -> str:
    """Give the prompt of a request in one piece.

    It is one of those that the campaign gives, or made: seeded, distinct, and about
    `input_tokens` long.
    """
    return _payloads(request).text(request)


def messages(request: Arrival) -> Messages:
    """Make the prompt of a request as a chat begins: a list of `role` and `content`.

    A later turn of a conversation has all that was said before it in front: its own prompts
    and the answers, as far as the workload noted them with `says`.
    """
    own = _payloads(request).messages(request)
    if request.turn:
        request.asked = [*request.history, *own]
    return request.asked or own


def _payloads(request: Arrival) -> Payloads:
    running = session()
    return running.payloads[request.part] if running else _MADE_UP


def headers(request: Arrival, *, keep_alive: bool) -> dict[str, str]:
    """Give the headers of a request: its number, the connection, the campaign's own.

    Parameters
    ----------
    request
        Whose step and index become `X-Request-Id`: a server's log can be joined by it.
    keep_alive
        Whether the connection serves further requests. The parameters
        `keep_alive` and `headers` of the campaign come first.
    """
    chosen = parameters()
    keep = chosen.get("keep_alive", keep_alive)
    return {
        "X-Request-Id": request.request_id,
        "Connection": "keep-alive" if keep else "close",
        **chosen.get("headers", {}),
    }


def streamed(
    client: LeanSession | FastHttpSession,
    request: Arrival,
    *,
    name: str,
    path: str,
    ask: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    """Send a completion request of OpenAI's interface; yield its events as they come.

    The answer has a fixed length and no randomness, comes as a stream, and is counted by
    the server, whose counts are noted. `ignore_eos` and `cache_prompt` are known to vLLM
    and llama.cpp.

    Parameters
    ----------
    client
        Of the user.
    request
        What is due.
    name
        In locust's live statistics.
    path
        Of the endpoint, unless the campaign's parameters name another.
    ask
        What the endpoint is asked with: messages or a prompt.
    """
    body = {
        "model": parameters().get("model", "default"),
        "max_tokens": request.output_tokens,
        "ignore_eos": True,
        "temperature": 0,
        "seed": request.payload_id % 2**31,
        "cache_prompt": False,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with client.post(
        parameters().get("path", path),
        name=name,
        json=with_own(body | ask),
        headers=headers(request, keep_alive=False) | {"Accept-Encoding": "identity"},
        stream=True,
        catch_response=True,
    ) as response:
        for event in json_events(response, request):
            yield event
            note_usage(request, event)


def with_own(body: dict[str, Any]) -> dict[str, Any]:
    """Merge the campaign's parameter `body` into a request; a null value removes a key."""
    merged = {**body, **parameters().get("body", {})}
    return {key: value for key, value in merged.items() if value is not None}


def note_usage(request: Arrival, event: dict[str, Any]) -> None:
    """Note the token counts of an answer or event of OpenAI's interface, where it has them."""
    if usage := event.get("usage"):
        details = usage.get("prompt_tokens_details") or {}
        request.tokens(
            usage.get("prompt_tokens"), usage.get("completion_tokens"), details.get("cached_tokens")
        )


def json_events(
    response: Answer | ResponseContextManager, request: Arrival
) -> Iterator[dict[str, Any]]:
    """Yield the JSON of each server-sent event as it arrives, up to `[DONE]`.

    A response that failed yields nothing. A stream whose client leaves, as planned, is closed
    after the last chunk that it waits for. A stream that breaks off, never ends, or
    is no such stream marks the response as failed; no exception leaves this.

    Parameters
    ----------
    response
        Of `client.request(..., stream=True, catch_response=True)`, inside its `with`.
    request
        Gets the bytes.
    """
    if not response.ok or response.status_code == 0:
        return
    try:
        yield from _json_events(_pieces(response, request), request)
    except (OSError, HTTPParseError, ValueError) as error:
        response.failure(error)
    finally:
        request.read_at = None
        response.release()


def _json_events(pieces: Iterable[bytes], request: Arrival) -> Iterator[dict[str, Any]]:
    parser = SseParser()
    done = False
    for piece in pieces:
        request.received(len(piece))
        for data, _ in parser.feed(piece):
            if data == DONE:
                done = True
            elif isinstance(content := json.loads(data), dict):
                yield content
                request.stay()
            else:
                raise MalformedStreamError(f"an event is no JSON object: {data[:40]}")
    parser.close()
    if not done:
        raise MalformedStreamError(f"the stream ended without {DONE}")


def _pieces(response: Answer | ResponseContextManager, request: Arrival) -> Iterator[bytes]:
    if not isinstance(response, Answer):
        yield from _lines(response.stream)
        return
    for piece in response.pieces(request.is_patient):
        request.read_at = response.read_at
        yield piece


def _lines(stream: HTTPSocketResponse) -> Iterator[bytes]:
    """Read line by line, each as soon as it is there.

    locust's own `iter_lines` waits for blocks of 1024 bytes, which adds 60 ms to the
    time to first token of a slow stream.
    """
    while line := stream.readline(b"\n"):
        yield line
    if rest := stream.read():  # after the last line end
        yield rest


def _unplanned() -> Arrival:
    plan = StepPlan(1, 1.0, 0.0, 1.0, "constant", _INPUT_TOKENS, _OUTPUT_TOKENS)
    nothing = np.zeros(1, dtype=int)
    number = next(_counter)
    place = np.array([number])
    rows = PlannedRows(plan, np.zeros(1), nothing > 0, nothing, nothing, nothing, place)
    return Arrival(Records(rows), 0, now(), number, _INPUT_TOKENS, _OUTPUT_TOKENS)
