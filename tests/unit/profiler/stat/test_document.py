"""A JSON object is read piece by piece, whatever its layout, and a broken one is told by its line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.profiler.stat import document
from escalade.profiler.stat.document import Document

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> list[tuple[str, Any]]:
    return list(Document(Path("session.json"), io.StringIO(text), "frames").members())


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_CHUNK", 3)


@given(
    before=st.dictionaries(st.text().filter(lambda name: name != "frames"), VALUES, max_size=3),
    frames=st.lists(VALUES, max_size=5),
    indent=st.sampled_from([None, 0, 1, 4]),
)
def test_members_and_elements_are_those_of_the_whole(
    before: dict[str, Any], frames: list[Any], indent: int | None
) -> None:
    text = json.dumps({**before, "frames": frames, "\nlast": 1}, indent=indent)

    expected = [*before.items(), *(("frames", frame) for frame in frames), ("\nlast", 1)]

    assert read(f" {text}\n") == expected


@given(frames=st.lists(VALUES, max_size=4), data=st.data())
def test_what_was_cut_off_anywhere_is_refused(frames: list[Any], data: st.DataObject) -> None:
    text = json.dumps({"units": {"a": 12}, "frames": frames, "end": 12}, indent=1)
    kept = data.draw(st.integers(0, len(text) - 1))

    with pytest.raises(InputError, match="broken JSON"):
        read(text[:kept])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"frames": [\n{"a": 1},\n{"a": 1 2},\n{"a": 1}]}', 3),
        ('{"frames": [\n{"a": 1}\n{"a": 1}]}', 3),
        ('{"frames": [\n{"a": NaN}]}', 2),
        ('{"frames": []\n,}', 2),
        ('{"frames": []}\n\n{', 3),
        ("\n[1]", 2),
        ('{"a": ' + "[" * 100_000, 1),
    ],
)
def test_broken_json_is_told_by_its_line(text: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"session\.json, line {line}: broken JSON: "):
        read(text)


def test_a_fault_far_from_the_end_does_not_read_on() -> None:
    opened = io.StringIO('{"frames": [{"a" 1},' + '{"a": 1},' * 10_000)

    with pytest.raises(InputError, match="line 1"):
        list(Document(Path("session.json"), opened, "frames").members())

    assert opened.tell() < 20_000
