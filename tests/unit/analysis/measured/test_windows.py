"""Which requests, answers and tokens belong to a window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from escalade.analysis.measured.windows import (
    Chunks,
    RequestLog,
    Window,
    cohort,
    completions,
    occupancy,
    request_log,
    tokens_per_block,
    window_of,
)
from escalade.errors import NoDataError
from unit.analysis.builders import EPOCH, Request, Step, cell

WINDOW = Window(EPOCH + 5, EPOCH + 15)


def log_of(*requests: Request) -> RequestLog:
    return request_log(cell(Step(requests)).requests, 1)


def chunks_of(*requests: Request) -> Chunks:
    return Chunks.of(cell(Step(requests)).requests["chunk_offsets"])


def test_the_cohort_is_half_open_on_planned_times() -> None:
    log = log_of(Request(-0.5), Request(0.0), Request(9.5), Request(10.0))

    assert (cohort(log, WINDOW).planned - WINDOW.start).tolist() == [0.0, 9.5]


def test_throughput_counts_answers_by_their_end_whenever_they_were_planned() -> None:
    log = log_of(
        Request(-1.0, latency=1.5),  # planned in the warm-up, ended at 0.5
        Request(1.0, latency=1.0),
        Request(9.5, latency=1.0),  # planned in the window, ended at 10.5
        Request(2.0, latency=1.0, error="http_5xx"),
    )

    assert completions(log, WINDOW) == 2


def test_a_failed_or_unfinished_request_has_infinite_latency() -> None:
    log = log_of(
        Request(0.0, latency=0.3),
        Request(1.0, latency=0.3, error="timeout"),
        Request(2.0, latency=None, error="unfinished"),
    )

    assert log.latency.tolist() == pytest.approx([0.3, np.inf, np.inf])


def test_latency_counts_from_the_planned_send() -> None:
    log = log_of(Request(0.0, sent=0.4, latency=0.5, chunks=(0.45, 0.5)))

    assert log.latency[0] == pytest.approx(0.5)
    assert log.ttft[0] == pytest.approx(0.45)
    assert log.dispatch_lag[0] == pytest.approx(0.4)


def test_a_request_never_sent_has_infinite_dispatch_lag() -> None:
    log = log_of(Request(0.0, latency=None, error="not_sent"))

    assert log.dispatch_lag.tolist() == [np.inf]


def test_an_end_without_error_but_without_time_is_no_answer() -> None:
    log = log_of(Request(0.0, latency=None))

    assert not log.success.any()


def test_rows_come_back_in_planned_order() -> None:
    data = cell(Step([Request(3.0), Request(1.0), Request(2.0)]))

    assert (request_log(data.requests, 1).planned - WINDOW.start).tolist() == [1.0, 2.0, 3.0]


def test_gaps_never_reach_from_one_request_to_the_next() -> None:
    gaps, owner = chunks_of(
        Request(0.0, chunks=(0.5, 0.6, 0.8)), Request(1.0), Request(2.0, chunks=(0.1, 0.4))
    ).gaps()

    assert gaps.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert owner.tolist() == [0, 0, 2]


def test_gaps_of_some_requests_alone() -> None:
    chunks = chunks_of(
        Request(0.0, chunks=(0.5, 0.6)), Request(1.0), Request(2.0, chunks=(0.1, 0.4, 0.5))
    )

    gaps, owner = chunks.gaps(np.array([False, True, True]))
    nothing, nobody = chunks.gaps(np.array([False, True, False]))

    assert gaps.tolist() == pytest.approx([0.3, 0.1])
    assert owner.tolist() == [2, 2]
    assert len(nothing) == len(nobody) == 0


def test_chunks_that_arrow_holds_are_the_same() -> None:
    lists = [[0.0, 0.5], [], None, [0.0], [0.0, 0.1, 0.2]]
    held = pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([lists[:2], lists[2:]])))

    for rows in ([0, 1, 2, 3, 4], [4, 2, 0]):
        found, expected = Chunks.of(held.iloc[rows]), Chunks.of([lists[row] for row in rows])

        assert found.counts.tolist() == expected.counts.tolist()
        assert found.offsets.tolist() == expected.offsets.tolist()


def test_chunks_may_be_absent_in_every_way_that_a_table_can_say_it() -> None:
    chunks = Chunks.of([None, [], np.nan, np.array([0.0, 0.5])])

    assert chunks.counts.tolist() == [0, 0, 0, 2]


def test_tokens_are_counted_when_they_arrive() -> None:
    # 4 tokens at -0.5, 0.5, 1.5 and 2.5 s: three inside; 2 tokens in one chunk at 9.9 s
    requests = (
        Request(-1.0, latency=3.5, chunks=(0.5, 1.5, 2.5, 3.5)),
        Request(9.0, latency=0.9, chunks=(0.9,), output_tokens=2),
    )

    arrived = tokens_per_block(log_of(*requests), chunks_of(*requests), WINDOW, 10)

    assert arrived is not None
    assert arrived.tolist() == pytest.approx([1, 1, 1, 0, 0, 0, 0, 0, 0, 2])


def test_tokens_of_an_answer_without_chunks_arrive_at_its_end() -> None:
    request = Request(1.0, latency=0.5, output_tokens=7)

    arrived = tokens_per_block(log_of(request), chunks_of(request), WINDOW, 10)

    assert arrived is not None
    assert arrived.tolist() == [0, 7, 0, 0, 0, 0, 0, 0, 0, 0]


def test_without_chunks_and_counts_there_is_no_token_rate() -> None:
    request = Request(1.0)

    assert tokens_per_block(log_of(request), chunks_of(request), WINDOW, 10) is None


def test_occupancy_is_weighted_by_time() -> None:
    # one request from 0 to 4 s, another from 2 to 4 s, of a window of 10 s: (4 + 2) / 10
    entered, left = np.array([0.0, 2.0]), np.array([4.0, 4.0])

    found = occupancy(entered, left, Window(0.0, 10.0))

    assert found.mean == pytest.approx(0.6)
    assert found.maximum == 2
    assert found.block_means(5).tolist() == pytest.approx([1, 2, 0, 0, 0])


def test_occupancy_knows_those_who_came_before_and_stay_beyond() -> None:
    entered, left = np.array([-5.0, -5.0, 1.0, np.nan]), np.array([np.nan, -1.0, 20.0, np.nan])

    found = occupancy(entered, left, Window(0.0, 2.0))

    assert found.mean == pytest.approx(1.5)  # one throughout, another for half of it


def test_a_step_without_window_has_none() -> None:
    assert window_of({"window_start": None, "window_end": None}) is None
    assert window_of({"window_start": 5.0, "window_end": 5.0}) is None
    assert window_of({}) is None


def test_a_log_without_a_column_names_it() -> None:
    requests = cell(Step([Request(0.0)])).requests.drop(columns=["sent_at", "error"])

    with pytest.raises(NoDataError, match="sent_at, error"):
        request_log(requests, 1)
