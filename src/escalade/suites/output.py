"""What a program printed, as iterations: numbers, JSON, or text that a pattern reads."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Observation = dict[str, float]
"""One iteration: numbers by key; a plain number has the key ""."""

PLAIN = ""
_SHOWN = 60
_LONGEST_DOCUMENT = 64 * 2**20


@dataclass
class Output:
    """Reads the lines of one program, one after the other.

    Parameters
    ----------
    source
        What to call the program in messages.
    pattern
        Regular expression with named groups, or None.

    Attributes
    ----------
    ignored
        Lines that are neither a number nor JSON, or that the pattern does not match.
    first_ignored
        The first of them.
    """

    source: str
    pattern: str | None = None
    ignored: int = 0
    first_ignored: str = ""
    _lines: int = 0
    _document: list[str] = field(default_factory=list)
    _size: int = 0

    def take(self, line: str) -> list[Observation]:
        """Read one line; give the iterations that it completes.

        Raises
        ------
        InputError
            When a number is not finite, or an object holds none.
        """
        self._lines += 1
        text = line.strip()
        if self._document:
            return self._go_on(text)
        if not text:
            return []
        if self.pattern is not None:
            return self._matched(text)
        if text[0] in "{[":
            return self._begin(text)
        try:
            number = float(text)
        except ValueError:
            self._ignore(text)
            return []
        return [{PLAIN: self._finite(number, text)}]

    def end(self) -> None:
        """Insist that no JSON is left open.

        Raises
        ------
        InputError
            When the program ended in the middle of it.
        """
        if self._document:
            raise InputError(
                f"{self.source} printed JSON that does not end: it begins with {_short(self._document[0])}."
            )

    def _begin(self, text: str) -> list[Observation]:
        """Read JSON that stands on one line; else it goes on over the next ones."""
        try:
            content = json.loads(text)
        except ValueError:
            self._document, self._size = [text], len(text)
            return []
        return list(self._observations(content))

    def _go_on(self, text: str) -> list[Observation]:
        self._document.append(text)
        self._size += len(text)
        if self._size > _LONGEST_DOCUMENT:
            raise InputError(f"{self.source} printed JSON of more than 64 MiB that does not end.")
        if not text.endswith(("}", "]")):
            return []
        try:
            content = json.loads("\n".join(self._document))
        except ValueError:
            return []
        self._document = []
        return list(self._observations(content))

    def _observations(self, content: Any) -> Iterator[Observation]:
        if not isinstance(content, list):
            yield self._object(content)
            return
        for entry in content:
            if isinstance(entry, dict):
                yield self._object(entry)
            elif _is_number(entry):
                yield {PLAIN: self._finite(_float(entry), str(entry))}
            else:
                raise InputError(
                    f"{self.source}, line {self._lines}: a list holds {_short(entry)}; expected "
                    "numbers or objects of numbers."
                )

    def _object(self, content: dict[str, Any]) -> Observation:
        found = {key: self._finite(number, f"{key}: {number}") for key, number in _leaves(content)}
        if not found:
            raise InputError(
                f"{self.source}, line {self._lines}: {_short(content)} holds no number."
            )
        return found

    def _matched(self, text: str) -> list[Observation]:
        match = re.search(self.pattern or "", text)
        if match is None:
            self._ignore(text)
            return []
        found = {}
        for name, part in match.groupdict().items():
            try:
                found[name] = self._finite(float(part), text)
            except (TypeError, ValueError):
                raise InputError(
                    f"{self.source}, line {self._lines}: the group {name!r} of the pattern is "
                    f"{part!r} in {_short(text)}; expected a number."
                ) from None
        return [found]

    def _finite(self, number: float, shown: str) -> float:
        if not math.isfinite(number):
            raise InputError(
                f"{self.source}, line {self._lines}: {_short(shown)} is not finite; expected a "
                "number. What could not be measured is not to be printed."
            )
        return number

    def _ignore(self, text: str) -> None:
        self.ignored += 1
        self.first_ignored = self.first_ignored or text[:_SHOWN]


def _leaves(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Give the numbers of an object, and of what is inside it, by path: jobs.0.read.iops."""
    for key, value in content.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, dict):
            yield from _leaves(value, path)
        elif isinstance(value, list):
            yield from _leaves({str(place): entry for place, entry in enumerate(value)}, path)
        elif _is_number(value):
            yield path, _float(value)


def _float(number: float) -> float:
    """Give a number of JSON, whose whole numbers may be too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
