"""Readings become frames: none is dropped or doubled, gaps are said, rates are true."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.profiler.columns import cells_of
from escalade.profiler.frames import Framing
from escalade.profiler.reading import Reading
from escalade.profiler.summary import Summary

DT = 0.1


def reading(at: float, node: str = "alpha", gpu: int = 0, **values: float) -> Reading:
    return Reading(at, node, gpu, "H100", f"GPU-{node}-{gpu}", values)


def framed(readings: list[Reading], start: float = 0.0, end: float = 10.0) -> tuple[list, Framing]:
    framing = Framing(start, end, DT)
    return list(framing.frames(sorted(readings, key=lambda it: it.time))), framing


@given(
    st.floats(0, DT, exclude_max=True),
    st.lists(st.floats(-DT / 4.1, DT / 4.1), min_size=1, max_size=80),
)
def test_jitter_of_less_than_a_quarter_drops_and_doubles_nothing(
    phase: float, jitters: list[float]
) -> None:
    times = [max(0.0, phase + k * DT + jitter) for k, jitter in enumerate(jitters)]
    frames, _ = framed([reading(at) for at in times], end=100.0)

    assert [it.reading.time for frame in frames for it in frame.shown] == sorted(times)
    ticks = [frame.tick for frame in frames]
    assert ticks == list(range(ticks[0], ticks[0] + len(times)))


@given(st.data())
@settings(deadline=None)
def test_no_reading_is_lost_whatever_nodes_do(data: st.DataObject) -> None:
    times = st.lists(st.integers(0, 9_999), max_size=40, unique=True)
    nodes = {name: data.draw(times) for name in ("alpha", "beta", "gamma")}
    readings = [reading(at / 1000, node) for node, found in nodes.items() for at in found]
    frames, _ = framed(readings)

    shown = [(it.reading.node, it.reading.time) for frame in frames for it in frame.shown]
    assert sorted(shown) == sorted((it.node, it.time) for it in readings)
    for frame in frames:
        there = [it.reading.device for it in frame.shown]
        assert len(set(there)) == len(there), "no GPU is twice in a frame"
    ticks = [frame.tick for frame in frames]
    assert ticks == sorted(ticks)


def test_a_clock_that_drifts_is_followed() -> None:
    # 1,000 ppm: after 2,000 readings the node is two intervals off the grid.
    times = [0.05 + k * DT * 1.001 for k in range(2000)]
    frames, _ = framed([reading(at) for at in times], end=300.0)

    assert len(frames) == 2000
    ticks = [frame.tick for frame in frames]
    assert all(after - before == 1 for before, after in itertools.pairwise(ticks))


def test_nodes_that_sent_before_are_missed_and_their_gap_is_told() -> None:
    both = [reading(0.02 + k * DT, "alpha") for k in range(50)]
    both += [reading(0.07 + k * DT, "beta") for k in range(50) if not 20 <= k < 30]
    frames, framing = framed(both, end=5.0)

    missing = [frame.tick for frame in frames if frame.missing == ["beta"]]
    assert missing == list(range(20, 30))
    (gap,) = framing.gaps
    assert (gap.node, gap.missing) == ("beta", 10)
    assert (gap.start, gap.end) == pytest.approx((1.97, 3.07))
    after = next(it for frame in frames for it in frame.shown if it.reading.time == gap.end)
    assert after.after_gap


def test_the_edges_of_a_session_may_be_gaps_too() -> None:
    _, framing = framed([reading(4.0 + k * DT) for k in range(20)])

    assert [(gap.missing, gap.start, gap.end) for gap in framing.gaps] == [
        (40, 0.0, 4.0),
        (40, pytest.approx(5.9), 10.0),
    ]


def test_counters_become_rates_between_two_readings_of_a_gpu() -> None:
    frames, _ = framed(
        [
            reading(0.0, energy_joules=100.0, pcie_sent_bytes=0.0),
            reading(0.1, energy_joules=130.0, pcie_sent_bytes=5e8),
            reading(0.2, energy_joules=10.0, pcie_sent_bytes=6e8),  # the driver was loaded anew
            reading(0.5, energy_joules=40.0),
        ]
    )
    rates = [it.rates for frame in frames for it in frame.shown]

    assert rates[0] == {}, "nothing is known before the first"
    assert rates[1] == {"energy_joules": pytest.approx(300), "pcie_sent_bytes": pytest.approx(5e9)}
    assert rates[2] == {"pcie_sent_bytes": pytest.approx(1e9)}
    assert rates[3] == {"energy_joules": pytest.approx(100)}, "the mean over the gap"


def test_the_summary_of_a_gpu_is_what_one_works_out_by_hand() -> None:
    readings = [
        reading(
            k * DT,
            utilization_ratio=use,
            power_watts=300.0,
            energy_joules=1000.0 + 30 * k,
            memory_used_bytes=20e9,
            memory_total_bytes=80e9,
        )
        for k, use in enumerate((0.2, 0.4, 0.9))
    ]
    frames, _ = framed(readings, end=0.5)
    summary = Summary(expected=5)
    for frame in frames:
        summary.add(frame, cells_of(frame))

    (told,) = summary.by_device().values()
    assert told["avg_gpu_util"] == pytest.approx(50)
    assert (told["min_gpu_util"], told["max_gpu_util"]) == (pytest.approx(20), pytest.approx(90))
    assert told["avg_gpu_memory"] == pytest.approx(25)
    assert told["energy_joules"] == pytest.approx(60)
    assert (told["samples"], told["expected"], told["missing"]) == (3, 5, 2)
    assert "pcie_gigabytes" not in told
    assert summary.by_node()["alpha"]["energy_joules"] == pytest.approx(60)
