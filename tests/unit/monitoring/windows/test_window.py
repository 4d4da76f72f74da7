"""A window is given in one way, has a zone, lies in the past and within the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError, NoDataError
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.windows.extent import extent
from escalade.monitoring.windows.window import (
    Wanted,
    choose,
    iso,
    parse_duration,
    parse_time,
    promql_text,
)
from escalade.runtime.slurm.text import JobState
from escalade.runtime.slurm.times import JobTimes

if TYPE_CHECKING:
    from unit.monitoring.windows.conftest import Recorded

BASE = 1_790_000_000
NOW = BASE + 1000.0


def no_slurm(_: str) -> JobTimes | None:
    raise AssertionError


@pytest.fixture
def client(recorded: Recorded) -> PrometheusClient:
    recorded.scraped(range(100, 1000))
    return PrometheusClient(recorded.url)


def test_two_times_with_a_zone_are_a_window(client: PrometheusClient) -> None:
    chosen = choose(
        client, Wanted(from_iso=iso(BASE + 200), to_iso="2026-09-21T16:18:20+02:00"), no_slurm
    )

    assert (chosen.window.start, chosen.window.end) == (BASE + 200, BASE + 300)
    assert chosen.note == ""


def test_a_length_counts_back_from_the_clock_of_prometheus(client: PrometheusClient) -> None:
    chosen = choose(client, Wanted(last="last 10m"), no_slurm)

    assert (chosen.window.start, chosen.window.end) == (NOW - 600, NOW)
    assert chosen.given == "last 10m"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("90s", 90),
        ("1h30m", 5400),
        ("last 2d", 172800),
        ("500ms", 0.5),
        ("1w", 604800),
    ],
)
def test_lengths_are_read_as_prometheus_writes_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "0s", "10 m", "ten minutes", "5m!"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected one as in 10m"):
        parse_duration(text)


def test_a_time_without_a_zone_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match=r"no time zone.*Add Z for UTC"):
        parse_time("2025-10-01T10:00:00", "--from-iso")
    with pytest.raises(InputError, match=r"--to-iso: 'yesterday' is no time"):
        parse_time("yesterday", "--to-iso")


@given(st.integers(0, 4_000_000_000_000))
def test_times_are_read_as_they_are_written(milliseconds: int) -> None:
    assert parse_time(iso(milliseconds / 1000), "") == pytest.approx(milliseconds / 1000, abs=1e-6)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(), "None is given; expected one of --from-iso"),
        (Wanted(last="1m", job="3"), "--last and --job are given"),
        (Wanted(from_iso="2025-10-01T10:00:00Z"), "--from-iso needs --to-iso"),
        (Wanted(to_iso="2025-10-01T10:00:00Z", last="1m"), "--to-iso needs --from-iso"),
    ],
)
def test_a_window_is_given_in_one_way(client: PrometheusClient, wanted: Wanted, words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(client, wanted, no_slurm)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (300, 300, "is empty"),
        (300, 200, "is empty"),
        (300, 1060, "by the clock of"),
        (50, 300, "longer than the data.*Of this window there is --from-iso"),
        (10, 20, "longer than the data.*Choose a window in there"),
    ],
)
def test_windows_that_can_not_be_collected_are_refused(
    client: PrometheusClient, start: int, end: int, words: str
) -> None:
    wanted = Wanted(from_iso=iso(BASE + start), to_iso=iso(BASE + end))

    with pytest.raises(InputError, match=words):
        choose(client, wanted, no_slurm)


def test_a_window_may_begin_with_the_first_scrapes(client: PrometheusClient) -> None:
    """Prometheus first scrapes up to six seconds late: that much is no reason to refuse."""
    chosen = choose(client, Wanted(from_iso=iso(BASE + 96), to_iso=iso(BASE + 200)), no_slurm)

    assert chosen.window.start == BASE + 96


def test_the_window_of_a_job_is_cut_to_what_was_recorded(client: PrometheusClient) -> None:
    times = JobTimes(JobState.COMPLETED, BASE + 40.0, BASE + 400.0)

    chosen = choose(client, Wanted(job="12"), lambda _: times)

    assert (chosen.window.start, chosen.window.end) == (BASE + 100, BASE + 400)
    assert chosen.note == "60.0 s before the first sample are left out"


def test_the_window_of_a_job_that_runs_ends_now(client: PrometheusClient) -> None:
    chosen = choose(
        client, Wanted(job="12_3"), lambda _: JobTimes(JobState.RUNNING, BASE + 500.0, None)
    )

    assert chosen.window.end == pytest.approx(BASE + 999.001)  # one after the last sample
    assert chosen.note == "job 12_3 still runs: up to now"


@pytest.mark.parametrize(
    ("job", "times", "words"),
    [
        ("x;rm", None, "no id of a Slurm job"),
        ("12", None, "knows no job 12"),
        ("12", JobTimes(JobState.PENDING, None, None), "has not run: it is PENDING"),
        ("12", JobTimes(JobState.COMPLETED, BASE + 1.0, BASE + 9.0), "there are samples from"),
    ],
)
def test_jobs_without_a_window_are_refused(
    client: PrometheusClient, job: str, times: JobTimes | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        choose(client, Wanted(job=job), lambda _: times)


def test_a_label_gives_the_time_from_its_first_to_its_last_sample(
    recorded: Recorded, client: PrometheusClient
) -> None:
    points = dict.fromkeys([250.125, 260.0, 390.5], 1.0)
    recorded.add('{step="3"}', {"__name__": "x", "step": "3"}, points)

    chosen = choose(client, Wanted(label="step=3"), no_slurm)

    assert chosen.window.start == BASE + 250.125
    assert chosen.window.holds(chosen.window.start + 140.375)  # the last sample is part of it
    assert chosen.window.seconds == pytest.approx(140.376, abs=1e-5)


def test_a_label_that_nothing_has_is_answered_with_what_there_is(client: PrometheusClient) -> None:
    with pytest.raises(NoDataError, match=r"no sample has step=9. step is one of 1, 2"):
        choose(client, Wanted(label="step=9"), no_slurm)
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        choose(client, Wanted(label="step"), no_slurm)


def test_an_empty_prometheus_is_told(recorded: Recorded) -> None:
    with pytest.raises(NoDataError, match="holds no samples"):
        choose(PrometheusClient(recorded.url), Wanted(last="10m"), no_slurm)


def test_a_label_value_stays_text() -> None:
    assert promql_text('a"} or {b="c\\\n') == r'"a\"} or {b=\"c\\\n"'


@pytest.mark.parametrize("stamps", [[0.0], [3.0, 3.001], [0.001, 700.5, 999.999], [500.0]])
def test_the_first_and_the_last_sample_are_found(recorded: Recorded, stamps: list[float]) -> None:
    recorded.add("x", {"__name__": "x"}, dict.fromkeys(stamps, 1.0))

    found = extent(PrometheusClient(recorded.url), "x", 0.0, NOW)

    assert found == (BASE + stamps[0], BASE + stamps[-1])
