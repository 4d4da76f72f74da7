"""With a stressor and without: the same requests, one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.kpis.neighbours import CPU_SECONDS
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.scenarios.contention import LEAST_PAIRS, Stressed, contention_rows
from unit.analysis.builders import (
    APART,
    GOOD_CLIENT,
    NODE_TARGET,
    Request,
    Step,
    cell,
    scraped,
    value_of,
)

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

BESIDE = Stressed("beside", "alone", "1 worker on CPU")


def run(
    name: str, latencies: Any, repetition: int = 1, *, error: int | None = None, **step: Any
) -> CellData:
    """Give a cell of one step with these latencies, 10 a second; request `error` fails."""
    requests = [
        Request(0.1 * at, latency=float(value), error="http_5xx" if at == error else None)
        for at, value in enumerate(latencies)
    ]
    seconds = 0.1 * len(requests)
    return cell(
        Step(requests, seconds=seconds, client=GOOD_CLIENT, **step),
        deployment=name,
        repetition=repetition,
    )


def rows(*cells: CellData, gates: Any = ()) -> list[dict[str, Any]]:
    found = contention_rows([BESIDE], cells, gates)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def noisy(count: int = 100, seed: int = 1, more: float = 0.0) -> np.ndarray:
    """Give latencies that differ far more from each other than a stressor changes them."""
    return np.random.default_rng(seed).uniform(0.1, 1.0, count) + more


def test_the_difference_is_that_of_the_same_requests() -> None:
    # 100 latencies that spread over 0.9 s, each 10 ms to 20 ms longer beside the stressor: 15 ms
    more = np.tile([0.01, 0.02], 50)

    (row,) = rows(run("alone", noisy()), run("beside", noisy() + more))

    assert row["status"] == "slower"
    assert row["difference_seconds"] == pytest.approx(0.015)
    assert 0.013 < row["ci_low"] < row["ci_high"] < 0.017
    assert (row["n"], row["step"], row["stressor"]) == (100, 1, "1 worker on CPU")
    assert row["p90_beside"] > row["p90_without"]
    assert "1 run a side: runs differ by themselves" in row["words"]


def test_no_difference_says_that_none_was_shown() -> None:
    wobble = np.tile([0.01, -0.01], 50)

    (row,) = rows(run("alone", noisy()), run("beside", noisy() + wobble))

    assert row["status"] == "no change shown"
    assert row["ci_low"] < 0 < row["ci_high"]


def test_what_got_faster_says_so() -> None:
    (row,) = rows(run("alone", noisy()), run("beside", noisy() - np.tile([0.01, 0.02], 50)))

    assert row["status"] == "faster"


def test_few_requests_decide_nothing() -> None:
    count = LEAST_PAIRS - 1

    (row,) = rows(run("alone", noisy(count)), run("beside", noisy(count, more=0.5)))

    assert row["status"] == "undecided"
    assert "30 requests answered on both sides are needed" in row["words"]


def test_an_interval_without_an_end_decides_nothing() -> None:
    base = np.full(60, 0.2)
    one_long_wave = 0.05 + 0.1 * np.sin(2 * np.pi * np.arange(60) / 60)  # worth a request or two

    (row,) = rows(run("alone", base), run("beside", base + one_long_wave))

    assert row["ci_low"] is None or row["ci_high"] is None
    assert row["status"] == "undecided"
    assert row["words"].endswith("a longer step is needed")


def test_failed_requests_are_left_out_of_the_difference_and_counted_beside_it() -> None:
    (row,) = rows(
        run("alone", noisy()), run("beside", noisy() + np.tile([0.01, 0.02], 50), error=3)
    )

    assert row["n"] == 99
    assert (row["error_ratio_without"], row["error_ratio_beside"]) == (0.0, 0.01)
    assert "errors 0.00% without and 1.00% beside it" in row["words"]


def test_from_three_repetitions_on_the_interval_is_that_between_runs() -> None:
    cells = [run("alone", noisy(seed=number), number) for number in (1, 2, 3)]
    cells += [run("beside", noisy(seed=number, more=0.1 * number), number) for number in (1, 2, 3)]

    (row,) = rows(*cells)

    # means 0.1, 0.2, 0.3: 0.2 ± 4.303 · 0.1 / √3 = 0.2 ± 0.248
    assert row["difference_seconds"] == pytest.approx(0.2)
    assert row["ci_low"] == pytest.approx(0.2 - 0.2484, abs=1e-3)
    assert (row["status"], row["n"], row["repetitions"]) == ("no change shown", 3, 3)
    assert "runs differ" not in row["words"]


def test_an_invalid_step_is_left_out_with_its_gate() -> None:
    alone, beside = run("alone", noisy()), run("beside", noisy())
    gate = {"cell": beside.name, "step": 1, "gate": "gap_cv", "outcome": "fail"}

    (row,) = rows(alone, beside, gates=[{**gate, "invalidates": True, "detail": "uneven"}])

    assert row["status"] == "undecided"
    assert row["words"].startswith("beside it: client_limited, gate gap_cv: uneven")
    assert row["difference_seconds"] is None


def test_a_step_that_one_side_lacks_is_undecided() -> None:
    gone = cell(Step(outcome="not_run"), deployment="beside")

    (row,) = rows(run("alone", noisy()), gone)

    assert (row["status"], row["words"]) == (
        "undecided",
        "the step was not measured on both sides",
    )


@settings(max_examples=20)  # a cell each
@given(st.lists(st.floats(0.01, 5), min_size=30, max_size=60), st.floats(-0.005, 3))
def test_a_constant_is_found_whatever_the_latencies(latencies: list[float], more: float) -> None:
    (row,) = rows(run("alone", latencies), run("beside", [value + more for value in latencies]))

    assert row["difference_seconds"] == pytest.approx(more, abs=1e-5)


SECONDS = [float(at) for at in range(-2, 13)]


def contended(stressor: float) -> CellData:
    """Give a step whose service uses 0.3 cores and the stressor so much, on one core that is 0.95 busy."""
    samples = []
    for role, cores in (("service", 0.3), ("stressor", stressor)):
        levels = {at: cores * (at + 2) for at in SECONDS}
        if cores:
            samples += scraped(CPU_SECONDS, {"role": role, **NODE_TARGET}, levels)
    for mode, share in (("user", 0.95), ("idle", 0.05)):
        levels = {at: share * (at + 2) for at in SECONDS}
        samples += scraped(
            "node_cpu_seconds_total", {"cpu": "0", "mode": mode, **NODE_TARGET}, levels
        )
    step = Step([Request(0.1 * at) for at in range(100)], client=GOOD_CLIENT, samples=samples)
    return cell(step, allocation=APART)


def test_a_stressor_that_was_asked_for_is_no_neighbour() -> None:
    with_it, without = cell_kpis(contended(0.6)), cell_kpis(contended(0.0))

    # 0.95 busy − 0.3 − 0.6 of the stressor; without one all of it is a neighbour's
    assert value_of(with_it, "neighbour_cpu_ratio")["value"] == pytest.approx(0.05)
    assert value_of(with_it, "stressor_cpu_cores", "mean")["value"] == pytest.approx(0.6)
    assert value_of(without, "neighbour_cpu_ratio")["value"] == pytest.approx(0.65)
    assert not (without["metric"] == "stressor_cpu_cores").any()


def test_a_stressor_that_was_not_sampled_leaves_the_neighbours_unknown() -> None:
    data = contended(0.6)
    early = data.series["labels"].str.contains("stressor") & (
        data.series["timestamp"] > data.series["timestamp"].min() + 4
    )

    row = value_of(cell_kpis(replace(data, series=data.series[~early])), "neighbour_cpu_ratio")

    assert "stressor" in row["quality"]
