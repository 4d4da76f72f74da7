"""Steps that were given up: when they may be, and that their figures never flatter them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from escalade.analysis.kpis.hopeless import most_beyond
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.measured.windows import window_of
from escalade.analysis.stats.intervals import rank_bounds, wilson
from escalade.analysis.verdicts.trial import judge_trial
from unit.analysis.builders import EPOCH, GOOD_CLIENT, Request, Step, cell, value_of

FAST = Slo("fast", "latency_seconds", "p90", 0.5)
UP = Slo("up", "error_ratio", "value", 0.05)
PLANNED = 200


def abandoned(*requests: Request, seconds: float = 10.0, planned: int = PLANNED) -> CellData:
    """Give a step that was given up after `seconds` of 100."""
    data = cell(Step(requests, seconds=seconds, client=GOOD_CLIENT))
    (outcome,) = data.windows["steps"]
    facts = {"planned": planned, "planned_end": outcome["window_start"] + 100.0}
    changed: dict[str, Any] = {"outcome": "abandoned", "cause": "abandoned", "abandoned": facts}
    windows = {**data.windows, "steps": [{**outcome, **changed}]}
    return CellData(data.cell, windows, data.requests, data.series, data.environment)


SLOW = [Request(planned=0.1 * k, latency=0.6 + 0.05 * k) for k in range(60)]
QUICK = [Request(planned=0.1 * k, latency=0.1) for k in range(60)]


def test_a_step_is_hopeless_with_twice_as_many_beyond_as_may_be() -> None:
    # of 1,000 requests 100 may be beyond a p90, and the lower bound of the interval is sure from 119 on
    assert most_beyond(FAST, 1000) == 200
    assert most_beyond(Slo("p99", "ttft_seconds", "p99", 1), 1000) == 20
    assert most_beyond(Slo("p50", "latency_seconds", "p50", 1), 1000) == 750


@pytest.mark.parametrize("planned", [40, 60, 144, 1000])
@pytest.mark.parametrize(("stat", "share"), [("p50", 0.5), ("p90", 0.9), ("p95", 0.95)])
def test_then_even_the_lower_bound_is_beyond_the_limit(
    planned: int, stat: str, share: float
) -> None:
    most = most_beyond(Slo("s", "latency_seconds", stat, 1), planned)
    assert most is not None
    low, _ = rank_bounds(planned, planned, share)
    slowest_within = planned - (most + 1)  # rank of the last that is within the limit

    assert most >= planned * (1 - share)
    assert low > slowest_within or most >= planned


def test_a_ratio_is_hopeless_when_its_lower_bound_is_beyond_the_limit() -> None:
    most = most_beyond(UP, 100)
    assert most is not None

    assert most >= 10  # twice 5 %
    assert wilson(most + 1, 100)[0] > 0.05
    assert most == 10 or wilson(most, 100)[0] <= 0.05


@pytest.mark.parametrize(
    "slo",
    [Slo("m", "latency_seconds", "mean", 1), Slo("i", "itl_seconds", "p90", 1)],
)
def test_what_the_rest_could_still_save_is_never_hopeless(slo: Slo) -> None:
    assert most_beyond(slo, 1000) is None


def test_an_abandoned_step_has_no_percentile_but_a_lower_bound() -> None:
    kpis = cell_kpis(abandoned(*SLOW), [FAST])
    row = value_of(kpis, "latency_seconds", "p90")

    # 140 of 200 count as answered at once; the lower bound of the p90 is rank 171 of 200 (binomial):
    # the 31st of the sixty slow ones
    low, _ = rank_bounds(PLANNED, PLANNED, 0.9)
    assert low == 171
    assert math.isnan(row["value"])
    assert row["ci_low"] == pytest.approx(0.6 + 0.05 * (low - 140 - 1))
    assert row["ci_high"] == math.inf
    assert row["quality"] == "not estimable: abandoned after 10.0 of 100.0 s"
    assert row["n"] == 60


def test_nothing_that_would_flatter_an_abandoned_step_has_a_value() -> None:
    kpis = cell_kpis(abandoned(*QUICK), [FAST])
    flattering = ("latency_seconds", "ttft_seconds", "goodput_qps", "error_ratio")

    rows = kpis[kpis["metric"].isin(flattering)]
    assert rows["value"].isna().all()
    assert value_of(kpis, "throughput_qps")["quality"].startswith("flagged: abandoned")
    assert value_of(kpis, "throughput_qps")["value"] == pytest.approx(6.0)  # what was measured


def test_what_was_not_sent_is_no_error_of_the_service() -> None:
    rest = [Request(planned=10.5 + k, latency=None, error="not_sent") for k in range(80)]
    data = abandoned(*SLOW, *rest)
    (outcome,) = data.windows["steps"]
    window = window_of(outcome)

    assert window is not None
    assert (window.start, window.end) == (EPOCH + 5, EPOCH + 15)  # after a warm-up of 5 s
    assert value_of(cell_kpis(data, [FAST]), "error_ratio")["ci_low"] == 0.0


def test_an_abandoned_step_fails_the_objective_that_ended_it_and_decides_no_other() -> None:
    data = abandoned(*SLOW)
    patient = Slo("patient", "latency_seconds", "p90", 60.0)
    (outcome,) = data.windows["steps"]

    verdict = judge_trial(data.cell, outcome, data.requests, [FAST, patient])

    rows = {row["slo"]: row for row in verdict.rows}
    assert verdict.judged == "FAIL"
    assert rows["fast"]["verdict"] == "FAIL"
    assert rows["patient"]["verdict"] == "INCONCLUSIVE"
    assert "abandoned" in rows["patient"]["reason"]
