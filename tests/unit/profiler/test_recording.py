"""What is written into a recording comes back, in order and once."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.errors import AbsentError, InputError, NoDataError
from escalade.profiler.reading import FIGURES
from escalade.profiler.recording import Recording, RecordingFile, Recordings

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"node": "alpha", "interval_ms": 100, "bandwidth": True, "nvlink": False}
NAMES = [figure.name for figure in FIGURES]

values = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1e15), max_size=len(NAMES))
rows = st.lists(
    st.tuples(st.integers(0, 10_000).map(lambda it: it / 10), st.integers(0, 3), values),
    max_size=30,
    unique_by=lambda row: row[:2],
)


def recorded(
    path: Path, found: list[tuple[float, int, dict[str, float]]], node: str = "alpha"
) -> Recording:
    file = RecordingFile(path, {**FACTS, "node": node})
    file.add([(at, f"GPU-{gpu}", gpu, "H100", told) for at, gpu, told in found], late=0)
    file.close()
    return Recording(path)


@given(rows, st.integers(0, 10_000), st.integers(1, 10_000))
@settings(deadline=None, max_examples=50)
def test_a_window_gives_what_was_read_in_it_in_the_order_of_time(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[tuple[float, int, dict[str, float]]],
    begin: int,
    length: int,
) -> None:
    start, end = begin / 10, (begin + length) / 10
    recording = recorded(tmp_path_factory.mktemp("one") / "x.sqlite", found)

    given_back = [(it.time, it.gpu, dict(it.values)) for it in recording.readings(start, end)]

    assert sorted(given_back, key=lambda it: it[:2]) == sorted(
        (row for row in found if start <= row[0] < end), key=lambda it: it[:2]
    )
    assert [it[0] for it in given_back] == sorted(it[0] for it in given_back)


def test_a_recording_goes_on_and_knows_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    recorded(path, [(1.0, 0, {"power_watts": 300.0})])
    recording = recorded(path, [(2.0, 0, {"power_watts": 310.0}), (1.0, 0, {"power_watts": 9.0})])

    assert [(it.time, it.values["power_watts"]) for it in recording.readings(0, 9)] == [
        (1.0, 300.0),
        (2.0, 310.0),
    ]
    assert (recording.node, recording.interval_ms) == ("alpha", 100)
    assert (recording.bandwidth, recording.nvlink) == (True, False)
    assert recording.span() == (1.0, 2.0)


def test_recordings_of_several_nodes_come_in_the_order_of_time(tmp_path: Path) -> None:
    one = recorded(tmp_path / "a.sqlite", [(1.0, 0, {}), (3.0, 0, {})])
    other = recorded(tmp_path / "b.sqlite", [(2.0, 0, {}), (4.0, 0, {})], node="beta")

    found = [(it.time, it.node) for it in Recordings([one, other]).readings(0, 9)]

    assert found == [(1.0, "alpha"), (2.0, "beta"), (3.0, "alpha"), (4.0, "beta")]


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    text, foreign, damaged = (tmp_path / name for name in ("text", "foreign", "damaged"))
    text.write_text("hello" * 500)
    sqlite3.connect(foreign).executescript("CREATE TABLE x (y); INSERT INTO x VALUES (1);")
    recorded(damaged, [(at / 10, 0, {"power_watts": 1.0}) for at in range(3000)])
    content = damaged.read_bytes()
    damaged.write_bytes(content[:20_000] + bytes(20_000) + content[40_000:])

    with pytest.raises(AbsentError, match="There is no recording"):
        Recording(tmp_path / "absent")
    with pytest.raises(InputError, match="can't be read as a recording"):
        Recording(text)
    with pytest.raises(InputError, match="is no recording"):
        Recording(foreign)
    with pytest.raises(InputError, match="can't be read as a recording"):
        list(Recording(damaged).readings(0, 1e9))


def test_the_file_of_another_node_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    recorded(path, [(1.0, 0, {})])

    with pytest.raises(InputError, match="recording of node 'alpha', this is 'beta'"):
        RecordingFile(path, {**FACTS, "node": "beta"})
    assert len(list(Recording(path).readings(0, 9))) == 1


def test_an_empty_recording_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="holds no reading yet"):
        recorded(tmp_path / "x.sqlite", []).span()


def test_rows_are_written_all_or_none(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path / "x.sqlite", FACTS)
    bad = [(1.0, "GPU-0", 0, "H100", {}), (2.0, "GPU-0", 0, "H100", {"power_watts": object()})]

    with pytest.raises(sqlite3.Error):
        file.add(bad, late=0)  # type: ignore[arg-type]
    file.add(bad[:1], late=0)  # type: ignore[arg-type]
    file.close()

    assert [it.time for it in Recording(tmp_path / "x.sqlite").readings(0, 9)] == [1.0]
