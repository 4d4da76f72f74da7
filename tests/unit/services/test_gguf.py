"""GGUF headers: what is read for a token, worked out by hand; and files that are no whole ones."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.services.gguf import read_header, read_weights
from gguf_files import gguf, text, write_gguf

if TYPE_CHECKING:
    from pathlib import Path

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}
EMBEDDING = ("token_embd.weight", (64, 10), 1280)  # 10 tokens of 64 values, two bytes each
FEED = ("blk.0.ffn_up.weight", (64, 100), 12800)
OUTPUT = ("output.weight", (64, 10), 2560)


def test_a_model_whose_embedding_is_its_output_reads_all_of_it(tmp_path: Path) -> None:
    found = read_weights(write_gguf(tmp_path / "m.gguf", LLAMA, [EMBEDDING, FEED]))

    assert found.tensor_bytes == found.read_bytes_per_token == 1280 + 12800
    assert found.parameters == found.active_parameters == 640 + 6400
    assert found.output_parameters == 640  # the embedding, as the last layer's matrix
    assert (found.format, found.architecture) == ("GGUF 3", "llama")
    assert (found.experts, found.experts_used) == (0, 0)


def test_a_table_that_is_only_looked_up_counts_with_one_row(tmp_path: Path) -> None:
    found = read_weights(write_gguf(tmp_path / "m.gguf", LLAMA, [EMBEDDING, FEED, OUTPUT]))

    assert found.tensor_bytes == 1280 + 12800 + 2560
    assert found.read_bytes_per_token == 128 + 12800 + 2560  # a row is 1280 / 10 bytes
    assert found.active_parameters == 6400 + 640
    assert found.output_parameters == 640


@pytest.mark.parametrize(
    "names",
    [["blk.0.ffn_up_exps.weight"], [f"blk.0.ffn_up.{e}.weight" for e in range(8)]],
    ids=["stacked", "apart"],
)
def test_of_a_mixture_only_the_experts_in_use_are_read(tmp_path: Path, names: list[str]) -> None:
    experts = [(name, (64, 800 // len(names)), 12800 // len(names)) for name in names]
    mixture = LLAMA | {"llama.expert_count": 8, "llama.expert_used_count": 2}
    shared = ("blk.0.ffn_up_shexp.weight", (64, 10), 640)

    found = read_weights(write_gguf(tmp_path / "m.gguf", mixture, [*experts, shared]))

    assert found.read_bytes_per_token == 12800 * 2 // 8 + 640
    assert found.active_parameters == 64 * 800 * 2 // 8 + 640
    assert (found.experts, found.experts_used) == (8, 2)


def test_keys_and_values_follow_from_heads_and_layers(tmp_path: Path) -> None:
    found = read_weights(write_gguf(tmp_path / "m.gguf", LLAMA, [FEED]))

    # 2 layers × 2 heads × (16 for the key + 16 for the value) × 2 bytes; 64 / 4 heads = 16
    assert found.cache_bytes_per_token == 256


def test_heads_of_each_layer_and_own_lengths_count(tmp_path: Path) -> None:
    own = LLAMA | {
        "llama.attention.head_count_kv": [1, 3],
        "llama.attention.key_length": 8,
        "llama.attention.value_length": 4,
    }
    found = read_weights(write_gguf(tmp_path / "m.gguf", own, [FEED]))

    assert found.cache_bytes_per_token == (1 + 3) * (8 + 4) * 2


@pytest.mark.parametrize(
    "key", ["attention.sliding_window", "attention.kv_lora_rank", "ssm.state_size"]
)
def test_a_cache_of_another_kind_is_not_guessed(tmp_path: Path, key: str) -> None:
    found = read_weights(write_gguf(tmp_path / "m.gguf", LLAMA | {f"llama.{key}": 512}, [FEED]))

    assert found.cache_bytes_per_token is None


def test_a_model_in_several_files_is_the_sum_of_them(tmp_path: Path) -> None:
    split = LLAMA | {"split.count": 2}
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", split, [EMBEDDING])
    write_gguf(tmp_path / "m-00002-of-00002.gguf", {"split.no": 1}, [FEED])

    assert read_weights(first).tensor_bytes == 1280 + 12800


def test_a_missing_part_of_several_files_is_named(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", LLAMA | {"split.count": 2}, [FEED])

    with pytest.raises(InputError, match=r"m-00002-of-00002\.gguf can't be read"):
        read_weights(first)


def test_a_long_vocabulary_is_passed_over(tmp_path: Path) -> None:
    words = LLAMA | {"tokenizer.ggml.tokens": ["word"] * 5000, "after": 7}
    header = read_header(write_gguf(tmp_path / "m.gguf", words, [FEED]))

    assert header.metadata["tokenizer.ggml.tokens"] is None
    assert header.metadata["after"] == 7  # what follows it is read at the right place


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with GGUF"),
        (b"PK\x03\x04 something else", "does not begin with GGUF"),
        (b"GGUF", "goes on beyond its end"),
        (gguf(LLAMA, [FEED], version=9), "version 9; expected 2 or 3"),
        (gguf(LLAMA, [FEED])[:120], "goes on beyond its end"),
        (gguf(LLAMA, [EMBEDDING, FEED])[:-13000], "lie upon each other or beyond its end"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 99), "type 99"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, 2**60),
            "an array of 1152921504606846976 elements",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("t") + struct.pack("<I", 2**31),
            "2147483648 dimensions",
        ),
    ],
)
def test_what_is_no_whole_file_is_said_in_a_sentence(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)

    with pytest.raises(InputError, match=said) as raised:
        read_weights(path)

    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_weights(tmp_path / "none.gguf")


WHOLE = gguf(LLAMA | {"llama.rope.freq_base": 1e4}, [EMBEDDING, FEED, OUTPUT])


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), bit=st.integers(0, 7), end=st.integers(0, len(WHOLE)))
def test_any_damage_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, end: int
) -> None:
    content = bytearray(WHOLE)
    content[place] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(content[:end])
    with contextlib.suppress(InputError):
        assert 0 <= read_weights(path).tensor_bytes <= end


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=8),
    strings=st.lists(st.text(max_size=20), max_size=20),
    numbers=st.lists(st.integers(0, 2**32 - 1), max_size=20),
)
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, int]],
    strings: list[str],
    numbers: list[int],
) -> None:
    tensors = [(f"blk.{i}.w", shape, 32 * shape[0] * shape[1]) for i, shape in enumerate(sizes)]
    path = tmp_path_factory.getbasetemp() / "whole.gguf"
    write_gguf(path, {"words": strings, "numbers": numbers}, tensors)

    header = read_header(path)

    assert [(t.name, t.dimensions, t.size_bytes) for t in header.tensors] == tensors
    assert header.metadata["words"] == strings
    assert header.metadata["numbers"] == numbers
