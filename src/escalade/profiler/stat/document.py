"""A JSON object of any size and layout, of which only a small part is in memory at a time."""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Any, NoReturn

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_LARGEST = 1 << 26
_CUT_OFF = 4096
_TAIL = 3
_SPACE = re.compile(r"[ \t\n\r]*")


class Document:
    """Gives the members of a JSON object one after the other, and those of one array one by one.

    Parameters
    ----------
    path
        For messages.
    opened
        The file, open for reading text.
    array
        Name of the member whose elements are given one by one.
    """

    def __init__(self, path: Path, opened: IO[str], array: str) -> None:
        self._path, self._opened, self._array = path, opened, array
        self._text, self._at = "", 0
        self._lines_before = 0
        self._decoder = json.JSONDecoder(parse_constant=_no_number)

    def members(self) -> Iterator[tuple[str, Any]]:
        """Give name and value of each member; of the array, its name with each element.

        Raises
        ------
        InputError
            When the text is no JSON object, with the line; also when it ends too early.
        """
        if self._next() != "{":
            self._fail("expected a JSON object, which begins with {", self._at)
        self._at += 1
        if self._next() == "}":
            self._at += 1
        else:
            yield from self._pairs()
        if self._next():
            self._fail("expected the end of the file", self._at)

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        while True:
            if self._next() != '"':
                self._fail("expected a name in quotes", self._at)
            name = self._value()
            self._take(":")
            if name == self._array and self._next() == "[":
                for element in self._elements():
                    yield name, element
            else:
                yield name, self._value()
            if self._take(",}") == "}":
                return

    def _elements(self) -> Iterator[Any]:
        self._take("[")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._take(",]") == "]":
                return

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # What is cut off by the end of what was read so far is told of near that end.
                near_end = len(self._text) - error.pos < _CUT_OFF
                small = len(self._text) - self._at < _LARGEST
                if not (near_end and small and self._more()):
                    self._fail(error.msg[:1].lower() + error.msg[1:], error.pos)
            except (ValueError, RecursionError) as error:
                self._fail(str(error), self._at)
            else:
                # A number may go on behind what was read: 1 of 1.5e-7 is a number, too.
                if end + _TAIL <= len(self._text) or not self._more():
                    self._at = end
                    return value

    def _take(self, expected: str) -> str:
        found = self._next()
        if not found or found not in expected:
            self._fail(f"expected {' or '.join(expected)}", self._at)
        self._at += 1
        return found

    def _next(self) -> str:
        """Go to the next character that is no space, and give it; none at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        try:
            chunk = self._opened.read(max(_CHUNK, len(self._text) - self._at))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self._path} is no text in UTF-8 ({error.reason}): expected the JSON or Parquet "
                "file of a session."
            ) from error
        except OSError as error:
            raise InputError(f"{self._path} can't be read: {error.strerror or error}.") from error
        if not chunk:
            return False
        self._lines_before += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :] + chunk, 0
        return True

    def _fail(self, why: str, at: int) -> NoReturn:
        line = self._lines_before + self._text.count("\n", 0, at) + 1
        if at >= len(self._text.rstrip()) or why.startswith("unterminated string"):
            why += "; here the file ends: it was cut off"
        raise InputError(
            f"{self._path}, line {line}: broken JSON: {why}. "
            "Write it anew: `escalade profile recover --export --name NAME` on its head."
        )


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
