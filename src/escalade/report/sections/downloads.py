"""The data behind the page: in the page itself where they are small, else beside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from escalade.report import words
from escalade.report.words import NOTHING

if TYPE_CHECKING:
    from escalade.report.data import ReportData, StoredFile

_KINDS = {".csv": "text/csv", ".json": "application/json", ".yaml": "text/plain"}
_KIB = 1024


@dataclass(frozen=True)
class Download:
    """One file that a reader can take along; `embedded` is empty where it only lies beside the page."""

    name: str
    holds: str
    size: str
    sha256: str
    beside: str
    embedded: str


def downloads(data: ReportData) -> list[Download]:
    """Give the campaign's files in the order given."""
    return [_download(file) for file in data.files]


def _download(file: StoredFile) -> Download:
    return Download(
        name=file.name,
        holds=file.holds,
        size=NOTHING if file.size is None else size(file.size),
        sha256=file.sha256 or NOTHING,
        beside=file.beside + quote(file.name),
        embedded="" if file.content is None else _embedded(file.name, file.content),
    )


def size(count: int) -> str:
    """Write a number of bytes: "12 KiB", and less than that to the byte."""
    if count < _KIB:
        return words.counted(count, "byte")
    return words.single(float(count), "bytes")


def _embedded(name: str, content: bytes) -> str:
    kind = _KINDS.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
