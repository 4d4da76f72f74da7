"""The verdict on a trial of a search: that of any step, from the client's side alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.trial import TrialVerdict, judge_trial
from escalade.analysis.verdicts.trial_size import trial_requests
from unit.analysis.builders import GOOD_CLIENT, Queue, Request, Step, cell, queue_step

if TYPE_CHECKING:
    from collections.abc import Sequence

FAST = Slo("fast", "latency_seconds", "p90", 0.5)
WHERE = {"cell": "a_rep-1_0", "deployment": "a", "repetition": 1}


def judged(step: Step, slos: Sequence[Slo] = (FAST,), **changes: Any) -> TrialVerdict:
    data = cell(step)
    (outcome,) = data.windows["steps"]
    return judge_trial(WHERE, {**outcome, **changes}, data.requests, slos)


def steady(latency: float, count: int = 400, **changes: Any) -> Step:
    """Give requests every 0.1 s that take so long, give or take a tenth."""
    requests = [
        Request(planned=0.1 * k + 0.05, latency=latency * (1 + 0.1 * ((7 * k) % 11 - 5) / 5))
        for k in range(count)
    ]
    facts: dict[str, Any] = {"seconds": count / 10, "client": GOOD_CLIENT, "target_qps": 10.0}
    return Step(requests, **(facts | changes))


def test_a_trial_whose_interval_lies_within_the_limit_passes() -> None:
    verdict = judged(steady(0.1))

    assert (verdict.judged, verdict.leans, verdict.saturated) == ("PASS", True, False)
    assert "p90" in verdict.reason


def test_a_trial_whose_interval_lies_beyond_the_limit_fails() -> None:
    verdict = judged(steady(1.0))

    assert (verdict.judged, verdict.leans) == ("FAIL", False)


def test_a_trial_with_few_requests_is_undecided_and_leans_by_its_point_estimate() -> None:
    assert (judged(steady(0.1, 40)).judged, judged(steady(0.1, 40)).leans) in (
        ("INCONCLUSIVE", True),
        ("PASS", True),
    )
    few = judged(steady(0.1, 20))
    assert (few.judged, few.leans) == ("INCONCLUSIVE", None)  # 20 have no p90


def test_all_objectives_have_to_hold() -> None:
    strict = Slo("strict", "latency_seconds", "p50", 0.05)

    verdict = judged(steady(0.1), [FAST, strict])

    assert (verdict.judged, verdict.leans) == ("FAIL", False)
    assert verdict.reason.startswith("strict: ")
    assert [row["verdict"] for row in verdict.rows] == ["PASS", "FAIL"]


def test_a_client_that_is_late_makes_a_trial_invalid() -> None:
    late = [Request(planned=0.1 * k, latency=0.3, sent=0.1 * k + 0.1) for k in range(400)]

    verdict = judged(Step(late, seconds=40, client=GOOD_CLIENT))

    assert (verdict.judged, verdict.leans) == ("INVALID", None)
    assert "late_ratio" in verdict.reason


def test_a_client_that_died_makes_a_trial_invalid_and_a_dead_service_fails_it() -> None:
    lost = judged(steady(0.1), outcome="client_failed", cause="killed by signal 9")
    dead = judged(steady(0.1), outcome="service_failed", cause="the service ended")

    assert (lost.judged, lost.leans) == ("INVALID", None)
    assert (dead.judged, dead.leans) == ("FAIL", False)
    assert "the service ended" in dead.reason


def test_a_queue_beyond_its_capacity_is_seen_to_saturate() -> None:
    queue = Queue(capacity=10.0)

    below = judged(queue_step(5.0, 60.0, seed=1, queue=queue))
    above = judged(queue_step(15.0, 60.0, seed=1, queue=queue))

    assert not below.saturated
    assert above.saturated
    assert above.leans is False


@pytest.mark.parametrize(
    ("slo", "count"),
    [
        (Slo("a", "latency_seconds", "p50", 1), 24),  # four sample floors: 6, 36, 72, 368
        (Slo("b", "latency_seconds", "p90", 1), 144),
        (Slo("c", "ttft_seconds", "p95", 1), 288),
        (Slo("d", "latency_seconds", "p99", 1), 1472),
        (Slo("e", "error_ratio", "value", 0.01), 381),  # 1.96² · 0.99 / 0.01 = 380.3
    ],
)
def test_a_trial_needs_what_its_statistic_needs(slo: Slo, count: int) -> None:
    assert trial_requests([slo]) == count
    assert trial_requests([slo, Slo("m", "latency_seconds", "mean", 1)]) == max(count, 30)
