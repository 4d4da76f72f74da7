"""Server-sent events from any sequence of byte chunks.

Follows the event stream format of the HTML standard, section 9.2.6: lines end with
CR LF, LF or CR, `data` lines of one event are joined by LF, a blank line ends it.
`id` and `retry` serve reconnection, which a load generator must not do: ignored.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\r|\n")
_ALONE = re.compile(rb"data: ([^\r\n]*)\n\n")
_FIELD, _EVENT_END = b"data: ", b"\n\n"
_BOM = b"\xef\xbb\xbf"


class MalformedStreamError(ValueError):
    """The bytes of a response are not what its protocol promises."""


class ServerSentEvent(NamedTuple):
    """One event: its `data` lines joined by newlines, and its type."""

    data: str
    event: str = "message"


class SseParser:
    """Turns chunks of bytes into events; where the chunks are cut does not matter.

    Parameters
    ----------
    line_limit
        Longest line accepted, in bytes: a stream without line ends must not fill
        the memory.
    """

    def __init__(self, line_limit: int = 1 << 20) -> None:
        self._line_limit = line_limit
        self._rest = b""
        self._after_cr = False
        self._at_start = True
        self._data: list[str] = []
        self._event = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes; give the events that they complete.

        Raises
        ------
        MalformedStreamError
            When a line is no UTF-8 or longer than the limit.
        """
        if not (self._rest or self._data or self._event or self._after_cr):
            events = _plain_events(chunk)
            if events:
                self._at_start = False
                return events
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        text = self._rest + chunk
        events = []
        start = 0
        for end in _LINE_END.finditer(text):
            self._take_line(text[start : end.start()], events)
            start = end.end()
        self._rest = text[start:]
        self._after_cr = text.endswith(b"\r")
        if len(self._rest) > self._line_limit:
            raise MalformedStreamError(f"a line is longer than {self._line_limit} bytes")
        return events

    def close(self) -> None:
        """Say that the stream has ended.

        Raises
        ------
        MalformedStreamError
            When it ended inside an event, which is then lost.
        """
        if self._rest or self._data:
            raise MalformedStreamError("the stream ended inside an event")

    def _take_line(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if not line:
            if self._data:
                events.append(ServerSentEvent("\n".join(self._data), self._event or "message"))
            self._data, self._event = [], ""
            return
        name, _, value = _decode(line).partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value


def _plain_events(chunk: bytes) -> list[ServerSentEvent]:
    """Cut events of one `data` line each, whole and with LF, as servers send them; [] if not so."""
    if alone := _ALONE.fullmatch(chunk):
        return [ServerSentEvent(_decode(alone[1]))]
    if not chunk.endswith(_EVENT_END) or b"\r" in chunk:
        return []
    events = []
    for line in chunk[:-2].split(_EVENT_END):
        if not line.startswith(_FIELD) or b"\n" in line:
            return []
        events.append(ServerSentEvent(_decode(line[6:])))
    return events


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedStreamError(f"a line is no UTF-8: {line[:40]!r}") from error
