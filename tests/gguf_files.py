"""GGUF files for tests, written by the format's own rules (ggml's docs/gguf.md)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ALIGNMENT = 32
_FLOAT32, _UINT32, _STRING, _ARRAY, _UINT64 = 6, 4, 8, 9, 10

Told = tuple[str, tuple[int, ...], int]
"""A tensor: name, dimensions, and its size in bytes."""


def text(value: str) -> bytes:
    content = value.encode()
    return struct.pack("<Q", len(content)) + content


def value(found: Any) -> bytes:
    if isinstance(found, str):
        return struct.pack("<I", _STRING) + text(found)
    if isinstance(found, list):
        strings = bool(found) and isinstance(found[0], str)
        head = struct.pack("<IIQ", _ARRAY, _STRING if strings else _UINT32, len(found))
        return head + b"".join(text(e) if strings else struct.pack("<I", e) for e in found)
    if isinstance(found, float):
        return struct.pack("<If", _FLOAT32, found)
    return struct.pack("<IQ", _UINT64, found)


def gguf(metadata: Mapping[str, Any], tensors: Sequence[Told], version: int = 3) -> bytes:
    """Give a whole file; tensors hold zeros, each padded to the alignment."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(key) + value(found) for key, found in metadata.items())
    offset = 0
    for name, dimensions, size in tensors:
        head += text(name) + struct.pack("<I", len(dimensions))
        head += struct.pack(f"<{len(dimensions)}Q", *dimensions) + struct.pack("<IQ", 0, offset)
        offset += -(-size // ALIGNMENT) * ALIGNMENT
    return head + bytes(-len(head) % ALIGNMENT) + bytes(offset)


def write_gguf(path: Path, metadata: Mapping[str, Any], tensors: Sequence[Told]) -> Path:
    path.write_bytes(gguf(metadata, tensors))
    return path
