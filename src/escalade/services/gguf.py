"""What a GGUF file says of its model: how many bytes of it are read for a token.

Only the header is read, not the weights. The format is that of ggml's docs/gguf.md, versions 2
and 3. A tensor's size is the distance to the next one's offset, so that new ways of quantising
need no table here.
"""

from __future__ import annotations

import itertools
import mmap
import re
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)
CACHE_VALUE_BYTES = 2
"""Of a value in the cache of keys and values: 16-bit floats, llama.cpp's default."""
_ALIGNMENT = 32
_KEPT_ELEMENTS = 4096
"""Longer arrays, such as vocabularies, are passed over."""
_MOST_DIMENSIONS = 8
_DEEPEST = 4
_FIXED = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""Types of a fixed size, as the module struct calls them."""
_STRING, _ARRAY = 8, 9
_LOOKED_UP = ("token_embd.weight", "per_layer_token_embd.weight")
"""Tables of which a token reads its own row alone."""
_OUTPUT = "output.weight"
_EXPERT = re.compile(r"_exps\.|^blk\.\d+\.ffn_(?:gate|up|down)\.\d+\.weight$")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


@dataclass(frozen=True)
class Tensor:
    """One tensor: its name, its dimensions (the first one varies fastest), its bytes in the file."""

    name: str
    dimensions: tuple[int, ...]
    size_bytes: int

    @property
    def values(self) -> int:
        """Number of values."""
        product = 1
        for length in self.dimensions:
            product *= length
        return product


@dataclass(frozen=True)
class Header:
    """Metadata and tensors of one file; long arrays of the metadata are left out."""

    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class Weights:
    """What generating text with a model reads and computes.

    Attributes
    ----------
    format, architecture
        As in "GGUF 3" and "llama".
    tensor_bytes, parameters
        Of all tensors.
    read_bytes_per_token
        Read for one token of one sequence: all weights but tables that are looked up, of a
        mixture of experts the share of experts that a token uses.
    active_parameters
        Weights that a token is multiplied with.
    output_parameters
        Those of them that make a token of the last layer's state: a prompt needs them once.
    cache_bytes_per_token
        What a token of a sequence's context adds to the cache of keys and values, read again for
        each further token; None when it does not follow from the metadata.
    experts, experts_used
        Of a mixture of experts; 0 of a model that is none.
    """

    format: str
    architecture: str
    tensor_bytes: int
    parameters: int
    read_bytes_per_token: int
    active_parameters: int
    output_parameters: int
    cache_bytes_per_token: int | None
    experts: int
    experts_used: int

    def to_json(self) -> dict[str, Any]:
        """Give the facts as plain JSON content."""
        return asdict(self)


def read_weights(path: Path) -> Weights:
    """Read what generating text with a model reads; of a model in several files, of all of them.

    Raises
    ------
    InputError
        When a file is no GGUF file, is damaged, of an unknown version, or missing.
    """
    first = read_header(path)
    tensors = [*first.tensors]
    for other in _further_parts(path, int(_number(first.metadata, "split.count") or 1)):
        tensors += read_header(other).tensors
    return weights_of(Header(first.version, first.metadata, tuple(tensors)))


def read_header(path: Path) -> Header:
    """Read metadata and tensors of one file.

    Raises
    ------
    InputError
        When it is no GGUF file, is damaged, or of an unknown version.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise InputError(
                    f"{path} is no GGUF file: it does not begin with {MAGIC.decode()}."
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _Reader(content, path).header()
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}).") from None


def weights_of(header: Header) -> Weights:
    """Derive from a header what a token reads and what it is multiplied with."""
    metadata = header.metadata
    architecture = str(metadata.get("general.architecture", "unknown"))
    experts = int(_number(metadata, f"{architecture}.expert_count") or 0)
    used = int(_number(metadata, f"{architecture}.expert_used_count") or experts)
    share = used / experts if experts else 1.0
    own_output = any(tensor.name == _OUTPUT for tensor in header.tensors)
    read, active, output = 0.0, 0.0, 0
    for tensor in header.tensors:
        part = share if experts and _EXPERT.search(tensor.name) else 1.0
        tied = tensor.name == _LOOKED_UP[0] and not own_output
        if tied or tensor.name == _OUTPUT:
            output = tensor.values
        if tensor.name in _LOOKED_UP and not tied:
            rows = tensor.values // max(1, tensor.dimensions[0]) if tensor.dimensions else 1
            read += tensor.size_bytes / max(1, rows)
            continue
        read += part * tensor.size_bytes
        active += part * tensor.values
    return Weights(
        format=f"GGUF {header.version}",
        architecture=architecture,
        tensor_bytes=sum(tensor.size_bytes for tensor in header.tensors),
        parameters=sum(tensor.values for tensor in header.tensors),
        read_bytes_per_token=round(read),
        active_parameters=round(active),
        output_parameters=output,
        cache_bytes_per_token=_cache_bytes(metadata, architecture),
        experts=experts,
        experts_used=used if experts else 0,
    )


def _cache_bytes(metadata: Mapping[str, Any], architecture: str) -> int | None:
    """Give the bytes of keys and values of one token: of attention that keeps all, as usual."""
    own = f"{architecture}."
    unusual = ("attention.kv_lora_rank", "attention.sliding_window")
    if any(own + key in metadata for key in unusual) or any(
        key.startswith(f"{own}ssm.") for key in metadata
    ):
        return None
    layers, heads, width = (
        _number(metadata, own + key)
        for key in ("block_count", "attention.head_count", "embedding_length")
    )
    kept = metadata.get(f"{own}attention.head_count_kv", metadata.get(f"{own}attention.head_count"))
    length = width / heads if width and heads else None
    key, value = (
        _number(metadata, f"{own}attention.{name}_length") or length for name in ("key", "value")
    )
    if not layers or kept is None or not key or not value:
        return None
    in_all = sum(kept) if isinstance(kept, list) else kept * layers
    return round(in_all * (key + value) * CACHE_VALUE_BYTES)


def _number(metadata: Mapping[str, Any], key: str) -> float | None:
    """Give a number of the metadata; None for what is no single one."""
    found = metadata.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _further_parts(path: Path, count: int) -> Sequence[Path]:
    """Name the other files of a model in several ones, of which the first was given."""
    found = _PART.search(path.name)
    if count <= 1 or found is None:
        return ()
    stem, total = path.name[: found.start()], found[2]
    if int(total) != count:
        raise InputError(f"{path} says that it is one of {count} files, its name says {total}.")
    numbers = (number for number in range(1, count + 1) if number != int(found[1]))
    return [path.with_name(f"{stem}-{number:05d}-of-{total}.gguf") for number in numbers]


class _Reader:
    """Reads forward through the mapped file; what would lie beyond its end is an error."""

    def __init__(self, content: mmap.mmap, path: Path) -> None:
        self._content, self._path = content, path
        self._size, self._place = len(content), len(MAGIC)

    def header(self) -> Header:
        version = int(self._take("I"))
        if version not in VERSIONS:
            known = " or ".join(map(str, VERSIONS))
            raise InputError(
                f"{self._path} is a GGUF file of version {version}; expected {known}. Convert the "
                "model anew with llama.cpp's tools."
            )
        tensors, pairs = int(self._take("Q")), int(self._take("Q"))
        metadata = {}
        for _ in range(pairs):
            key = self._string()
            metadata[key] = self._value(int(self._take("I")), 0)
        told = [self._tensor() for _ in range(tensors)]
        return Header(version, metadata, self._sized(told, metadata))

    def _sized(
        self, told: list[tuple[str, tuple[int, ...], int]], metadata: Mapping[str, Any]
    ) -> tuple[Tensor, ...]:
        alignment = int(_number(metadata, "general.alignment") or _ALIGNMENT)
        if alignment <= 0:
            raise self._damaged(f"an alignment of {alignment}")
        start = -(-self._place // alignment) * alignment
        ends = sorted({offset for _, _, offset in told} | {self._size - start})
        if told and (len(ends) <= len(told) or ends[-1] != self._size - start or ends[0] < 0):
            raise self._damaged("tensors that lie upon each other or beyond its end")
        after = dict(itertools.pairwise(ends))
        return tuple(
            Tensor(name, dimensions, after[offset] - offset) for name, dimensions, offset in told
        )

    def _tensor(self) -> tuple[str, tuple[int, ...], int]:
        name, count = self._string(), int(self._take("I"))
        if count > _MOST_DIMENSIONS:
            raise self._damaged(f"a tensor of {count} dimensions")
        dimensions = tuple(int(self._take("Q")) for _ in range(count))
        self._take("I")  # how its values are written
        return name, dimensions, int(self._take("Q"))

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _FIXED:
            return self._take(_FIXED[kind])
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY or depth > _DEEPEST:
            raise self._damaged(f"metadata of the unknown type {kind}")
        return self._array(depth)

    def _array(self, depth: int) -> list[Any] | None:
        kind, count = int(self._take("I")), int(self._take("Q"))
        if kind in _FIXED and count > _KEPT_ELEMENTS:
            self._skip(count * struct.calcsize(f"<{_FIXED[kind]}"))
            return None
        if count > self._size:
            raise self._damaged(f"an array of {count} elements")
        if count <= _KEPT_ELEMENTS:
            return [self._value(kind, depth + 1) for _ in range(count)]
        for _ in range(count):
            if kind == _STRING:
                self._skip(int(self._take("Q")))
            else:
                self._value(kind, depth + 1)
        return None

    def _string(self) -> str:
        length = int(self._take("Q"))
        start = self._place
        self._skip(length)
        return self._content[start : self._place].decode("utf-8", errors="replace")

    def _take(self, form: str) -> Any:
        start = self._place
        self._skip(struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self._content, start)[0]

    def _skip(self, count: int) -> None:
        if count > self._size - self._place:
            raise self._damaged("a header that goes on beyond its end")
        self._place += count

    def _damaged(self, what: str) -> InputError:
        return InputError(
            f"{self._path} is damaged, or not wholly there: it tells of {what}. Get the file anew, "
            "and compare its SHA-256."
        )
