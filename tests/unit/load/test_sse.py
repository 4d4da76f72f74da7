"""Server-sent events, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from escalade.load.sse import MalformedStreamError, ServerSentEvent, SseParser

line_ends = st.sampled_from(["\n", "\r\n", "\r"])
one_line = st.text(st.characters(exclude_characters="\r\n\ufeff", exclude_categories=["Cs"]))
messages = st.builds(
    ServerSentEvent,
    data=st.lists(one_line, min_size=1, max_size=3).map("\n".join),
    event=st.just("message") | one_line.filter(bool),
)


def parse(chunks: list[bytes]) -> list[ServerSentEvent]:
    parser = SseParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    parser.close()
    return events


def written(event: ServerSentEvent, end: str) -> str:
    lines = [f"data: {line}" for line in event.data.split("\n")]
    if event.event != "message":
        lines.insert(0, f"event: {event.event}")
    return end.join([": a comment", *lines, "", ""])


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.tuples(messages, line_ends), max_size=5), st.lists(st.integers(0, 10**6)))
@example([(ServerSentEvent("a"), "\r\n")], [13, 14, 15, 16, 22, 23, 24, 25])
def test_events_survive_any_cut_and_any_line_end(
    sent: list[tuple[ServerSentEvent, str]], places: list[int]
) -> None:
    stream = "".join(written(event, end) for event, end in sent).encode()

    assert parse(cut(stream, places)) == [event for event, _ in sent]


def test_single_bytes_are_enough() -> None:
    stream = b'data: {"a": 1}\r\n\r\ndata: [DONE]\n\n'

    assert [event.data for event in parse([bytes([byte]) for byte in stream])] == [
        '{"a": 1}',
        "[DONE]",
    ]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: one\ndata: two\n\n", ["one\ntwo"]),
        (b"data:tight\n\n", ["tight"]),
        (b"data:  one space stays\n\n", [" one space stays"]),
        (b"data\n\n", [""]),
        (b": comment\n\ndata: x\n\n", ["x"]),
        (b"id: 7\nretry: 10\nother: y\ndata: x\n\n", ["x"]),
        (b"event: only a type\n\n", []),
        (b"\xef\xbb\xbfdata: after a byte order mark\n\n", ["after a byte order mark"]),
        (b"\n\n\n", []),
        (b"", []),
        ("data: déjà\n\n".encode(), ["déjà"]),
    ],
)
def test_the_format_of_the_standard(stream: bytes, data: list[str]) -> None:
    assert [event.data for event in parse([stream])] == data


def test_a_type_belongs_to_one_event_only() -> None:
    events = parse([b"event: ping\ndata: 1\n\ndata: 2\n\n"])

    assert events == [ServerSentEvent("1", "ping"), ServerSentEvent("2")]


@pytest.mark.parametrize("stream", [b"data: cut off", b"data: cut off\n"])
def test_a_stream_that_ends_inside_an_event_is_malformed(stream: bytes) -> None:
    parser = SseParser()
    assert parser.feed(stream) == []

    with pytest.raises(MalformedStreamError, match="inside an event"):
        parser.close()


def test_bytes_that_are_no_utf_8_are_malformed() -> None:
    with pytest.raises(MalformedStreamError, match="UTF-8"):
        SseParser().feed(b"data: \xff\n")


def test_a_line_without_end_is_malformed_before_it_fills_the_memory() -> None:
    parser = SseParser(line_limit=100)
    parser.feed(b"x" * 100)

    with pytest.raises(MalformedStreamError, match="longer than 100"):
        parser.feed(b"x")
