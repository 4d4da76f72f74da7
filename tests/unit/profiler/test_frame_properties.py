"""What holds of frames whatever nodes do: nothing lost, no GPU twice, few in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.profiler.frames import Frame, Framing
from escalade.profiler.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

START = 1_746_369_000.0
DT = 0.1
JITTERS = st.lists(st.floats(-0.245, 0.245), min_size=2, max_size=60)


def reading(at: float, node: str = "a", gpu: int = 0, **values: float) -> Reading:
    return Reading(START + at * DT, node, gpu, "H100", f"{node}-{gpu}", values)


def framed(readings: Iterable[Reading], ticks: float = 100) -> tuple[list[Frame], Framing]:
    framing = Framing(START, START + ticks * DT, DT)
    ordered = sorted(readings, key=lambda it: it.time)
    return list(framing.frames(ordered)), framing


def devices(frame: Frame) -> list[str]:
    return [it.reading.device for it in frame.shown]


def check_whole(frames: list[Frame], readings: list[Reading]) -> None:
    """Check that each reading is in one frame near its time, and no GPU twice in any."""
    assert Counter(id(it.reading) for frame in frames for it in frame.shown) == Counter(
        map(id, readings)
    )
    for frame in frames:
        assert len(set(devices(frame))) == len(frame.shown)
        assert frame.time == pytest.approx(START + frame.tick * DT)
        for it in frame.shown:
            assert -5.001 * DT < frame.time - it.reading.time < 1.01 * DT
    ticks = [frame.tick for frame in frames]
    assert ticks == sorted(ticks)


@given(nodes=st.lists(st.tuples(st.floats(0.3, 0.7), JITTERS), min_size=1, max_size=4))
def test_a_jitter_below_a_quarter_gives_each_node_one_reading_in_every_tick(
    nodes: list[tuple[float, list[float]]],
) -> None:
    readings = [
        reading(k + phase + jitter, f"n{number}", gpu)
        for number, (phase, jitters) in enumerate(nodes)
        for k, jitter in enumerate(jitters)
        for gpu in (0, 1)
    ]

    frames, framing = framed(readings)

    check_whole(frames, readings)
    longest = max(len(jitters) for _, jitters in nodes)
    assert [frame.tick for frame in frames] == list(range(longest))
    for frame in frames:
        there = [n for n, (_, jitters) in enumerate(nodes) if frame.tick < len(jitters)]
        assert devices(frame) == [f"n{n}:{gpu}:H100" for n in there for gpu in (0, 1)]
        assert frame.missing == [f"n{n}" for n in range(len(nodes)) if n not in there]
    assert not [gap for gap in framing.gaps if gap.end < START + 100 * DT]


@given(
    times=st.lists(
        st.tuples(st.floats(0, 80), st.sampled_from("abc"), st.integers(0, 1)),
        min_size=1,
        max_size=120,
    )
)
def test_whatever_comes_is_in_one_frame(times: list[tuple[float, str, int]]) -> None:
    readings = [reading(*it) for it in times]

    frames, _ = framed(readings)

    check_whole(frames, readings)


@given(st.floats(-0.03, 0.03), st.integers(100, 600), st.floats(0, 0.45), st.randoms())
def test_a_clock_that_drifts_loses_and_doubles_nothing(
    drift: float, count: int, jitter: float, drawn: Random
) -> None:
    readings = [
        reading(0.5 + k * (1 + drift) + drawn.uniform(-jitter, jitter), gpu=gpu)
        for k in range(count)
        for gpu in (0, 1)
    ]

    frames, _ = framed(readings)

    check_whole(frames, readings)


@given(first=st.floats(0.3, 0.7), second=st.floats(0.0, 0.999), gpus=st.integers(1, 3))
def test_an_agent_that_was_started_again_at_another_phase_loses_nothing(
    first: float, second: float, gpus: int
) -> None:
    readings = [reading(k + first, gpu=gpu) for k in range(20) for gpu in range(gpus)]
    readings += [reading(20 + k + second, gpu=gpu) for k in range(20) for gpu in range(gpus)]

    frames, _ = framed(readings)

    check_whole(frames, readings)
    assert all(len(frame.shown) == gpus for frame in frames)
    assert 40 <= frames[-1].tick + 1 <= 41


def test_a_node_that_reads_more_often_has_further_frames_of_a_tick() -> None:
    often = [reading(k / 10 + 0.05) for k in range(500)]
    usual = [reading(k + 0.5, "b") for k in range(50)]

    frames, framing = framed([*often, *usual], ticks=50)

    check_whole(frames, often + usual)
    assert {frame.tick for frame in frames} == set(range(51))
    assert [frame.tick for frame in frames if frame.missing] == [50]
    assert not framing.gaps


def test_only_a_few_frames_are_in_memory() -> None:
    given_out = 0

    def many() -> Iterator[Reading]:
        nonlocal given_out
        for k in range(500):
            for node in "ab":
                given_out += 1
                yield reading(k + 0.5, node)

    ahead = 0
    for number, _ in enumerate(Framing(START, START + 500 * DT, DT).frames(many())):
        ahead = max(ahead, given_out - 2 * number)

    assert given_out == 1000
    assert ahead <= 16
