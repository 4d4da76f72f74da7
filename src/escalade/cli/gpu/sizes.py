"""Sizes of models and GPUs as people write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.gpu.placement import Card

if TYPE_CHECKING:
    from escalade.services.catalogue import ModelCatalogue

_UNITS = {
    "MB": 10**6,
    "GB": 10**9,
    "MIB": 2**20,
    "GIB": 2**30,
    "": 10**9,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def size_of(text: str, where: str) -> int:
    """Read a size in bytes: "24", "24GB" (10⁹), "24GiB" (2³⁰), "640MB".

    Raises
    ------
    InputError
        When it is none; `where` begins the message.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = None if found is None else _UNITS.get(found[2].upper())
    if found is None or unit is None:
        raise InputError(
            f"{where}: {text!r} is no size; expected one as in 24, 16GB, 80GiB or 640MB."
        )
    return round(float(found[1]) * unit)


def cards_of(text: str) -> list[Card]:
    """Read GPUs: sizes between commas, each optionally behind a count, as in "80GB" or "4x80GB".

    Raises
    ------
    InputError
        When one is no size, or there is none.
    """
    cards: list[Card] = []
    for part in text.split(","):
        count, cross, size = part.strip().rpartition("x")
        number = int(count) if cross and count.isdecimal() else 1
        if cross and not count.isdecimal():
            raise InputError(f"--gpus: {part.strip()!r}: expected a count before x, as in 4x80GB.")
        total = size_of(size, "--gpus")
        cards += [Card(str(len(cards) + nth), total) for nth in range(number)]
    if not cards:
        raise InputError("--gpus: none are named; expected sizes as in 24GB,24GB.")
    return cards


def models_of(words: list[str], catalogue: ModelCatalogue | None) -> dict[str, int]:
    """Read models: `NAME=SIZE`, or a name of the catalogue.

    Raises
    ------
    InputError
        When a name is there twice or unknown, or a size is none.
    """
    found: dict[str, int] = {}
    for word in words:
        name, given, size = word.partition("=")
        if name in found:
            raise InputError(f"model {name}: is there twice.")
        if given:
            found[name] = size_of(size, f"model {name}")
        elif catalogue is None:
            raise InputError(
                f"model {name}: its size is not known here; give it, as in {name}=16GB."
            )
        else:
            found[name] = catalogue.model(name).declared_bytes
    return found
