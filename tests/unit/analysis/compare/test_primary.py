"""Primary KPIs are read as they are written, at most three, and chosen from the configuration alone."""

from __future__ import annotations

import math

import pytest

from escalade.analysis.compare.primary import Primary, family_of, primary_of, usual_family
from escalade.analysis.measured.cell import Slo
from unit.analysis.builders import Step, at_once_step, cell, closed_step

FAST = Slo("fast", "latency_seconds", "p90", 1.0)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("latency_seconds:p90@4", Primary("latency_seconds", "p90", "", 4.0)),
        ("latency_seconds[chat]:p99@0.5", Primary("latency_seconds", "p99", "chat", 0.5)),
        ("goodput_qps[fast]@4", Primary("goodput_qps", "value", "fast", 4.0)),
        ("slo_capacity_qps", Primary("slo_capacity_qps")),
        ("ready_seconds", Primary("ready_seconds")),
        ("recall_at_k@2", Primary("recall_at_k", "mean", "", 2.0)),
    ],
)
def test_a_primary_kpi_is_read_and_written_again(text: str, known: Primary) -> None:
    found = primary_of(text)

    assert (found.metric, found.stat, found.name) == (known.metric, known.stat, known.name)
    assert found.level == known.level or (math.isnan(found.level) and math.isnan(known.level))
    assert primary_of(found.words).words == found.words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency p90", "is no primary KPI; expected METRIC"),
        ("latency_seconds", "has no statistic by default; expected one of p50, p90"),
        ("latency_seconds:p42", "has no statistic p42"),
        ("speed_qps@4", "speed_qps is no KPI"),
        ("gap_cv@4", "no KPI of which one direction is better"),
        ("slo_capacity_qps@4", "belongs to a whole ladder"),
        ("ready_seconds@4", "belongs to a whole cell; leave @4 out"),
        ("throughput_qps@1.2.3", "1.2.3 is no number"),
    ],
)
def test_what_is_none_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        primary_of(text)


def test_more_than_three_or_one_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="4 primary KPIs are declared"):
        family_of([f"latency_seconds:p90@{rate}" for rate in range(1, 5)])
    with pytest.raises(ValueError, match="declared twice"):
        family_of(["ready_seconds", "ready_seconds:value"])


def words(slos: list[Slo], *steps: Step) -> list[str]:
    """Give the usual family of a cell with these steps."""
    return [each.words for each in usual_family(slos, [cell(*steps)])]


def test_the_usual_family_follows_from_objectives_and_ladder() -> None:
    rates = [Step(target_qps=rate) for rate in (1.0, 2.0, 4.0, 8.0)]
    placed = Slo("placed", "ttft_seconds", "p99", 1.0, at_qps=4.0)

    assert words([FAST, placed], *rates) == ["ttft_seconds:p99@4"]
    assert words([FAST], *rates) == ["slo_capacity_qps", "latency_seconds:p90@2"]
    assert words([], *rates) == ["latency_seconds:p90@2"]
    assert words([], rates[0]) == ["latency_seconds:p90@1"]


def test_loads_without_a_rate_have_their_throughput() -> None:
    loops = [closed_step(number, [(0.0, 1.0)]) for number in (2, 8)]

    assert words([FAST], *loops) == ["throughput_qps@8"]
    assert words([], at_once_step([1.0, 2.0])) == ["samples_per_second@2"]
