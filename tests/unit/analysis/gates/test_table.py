"""Every gate passes, fails and does not know, where it should."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from escalade.analysis.gates.gate import two_digits
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import AGREEMENT, GOOD_CLIENT, NODE_TARGET, Request, cell, scraped, up
from unit.analysis.gated import GOOD, SECONDS, gates_of, good_step

INVALIDATING = {
    "step_measured",
    "late_ratio",
    "arrival_rate",
    "gap_cv",
    "client_backlog",
    "client_cpu",
    "client_suspended",
    "started_idle",
    "scrape_coverage",
    "scrape_gap",
}


def test_a_good_step_passes_every_gate() -> None:
    gates = gates_of(cell(good_step()))

    unknown = {name for name, gate in gates.items() if gate["outcome"] != "pass"}
    # the recipe declares nothing, and the CPUs are not known
    assert unknown == {"client_server_agreement", "neighbours"}
    assert {name for name, gate in gates.items() if gate["invalidates"]} == INVALIDATING


def test_gates_come_in_a_fixed_order_with_json_values() -> None:
    rows = cell_gates(cell(good_step()), cell_kpis(cell(good_step())))

    assert list(rows[0]) == [
        "cell",
        "step",
        "gate",
        "value",
        "limit",
        "unit",
        "outcome",
        "detail",
        "invalidates",
    ]
    assert [row["gate"] for row in rows][:4] == [
        "step_measured",
        "late_ratio",
        "arrival_rate",
        "gap_cv",
    ]
    assert all(type(row["value"]) in (float, type(None)) for row in rows)


@pytest.mark.parametrize(("late", "outcome"), [(1, "pass"), (2, "fail")])
def test_one_percent_may_be_late(late: int, outcome: str) -> None:
    requests = [
        replace(each, sent=each.planned + 0.006) if place < late else each
        for place, each in enumerate(GOOD)
    ]

    gate = gates_of(cell(good_step(requests)))["late_ratio"]

    assert gate["outcome"] == outcome
    assert gate["value"] == pytest.approx(late / 100)
    assert gate["limit"] == 0.01


def test_a_client_that_falls_behind_fails_on_its_rate() -> None:
    slow = [replace(each, sent=each.planned * 1.02, latency=0.5) for each in GOOD]

    gate = gates_of(cell(good_step(slow)))["arrival_rate"]

    assert gate["outcome"] == "fail"
    assert gate["value"] == pytest.approx(1 - 1 / 1.02)


def test_a_client_that_sends_in_bursts_fails_on_its_gaps() -> None:
    bursts = [
        replace(each, sent=each.planned + (0.05 if place % 2 else 0.0), latency=2.0)
        for place, each in enumerate(GOOD)
    ]

    gates = gates_of(cell(good_step(bursts)))

    assert gates["late_ratio"]["outcome"] == "pass"  # 50 ms of 2 s
    assert gates["gap_cv"]["outcome"] == "fail"
    assert gates["gap_cv"]["value"] == pytest.approx(0.5, abs=0.01)


def test_a_pile_of_unsent_requests_fails_on_backlog() -> None:
    unsent = [
        replace(each, error="not_sent", latency=None) if place >= 95 else each
        for place, each in enumerate(GOOD)
    ]

    gate = gates_of(cell(good_step(unsent)))["client_backlog"]

    assert gate["outcome"] == "fail"
    assert (gate["value"], gate["limit"]) == (5.0, 1.0)


@pytest.mark.parametrize(
    ("arrivals", "outcome"),
    [
        ("poisson", "pass"),
        ("gamma", "pass"),
        ("ramp", "fail"),
        ("trace", "fail"),
        (None, "unknown"),
    ],
)
def test_a_rate_that_changes_within_the_window_is_flagged(
    arrivals: str | None, outcome: str
) -> None:
    data = cell(good_step())
    data.windows["steps"][0]["arrivals"] = arrivals

    gate = gates_of(data)["constant_rate"]

    assert (gate["outcome"], gate["invalidates"]) == (outcome, False)


@pytest.mark.parametrize(("ratio", "outcome"), [(0.70, "pass"), (0.71, "fail")])
def test_a_client_that_fills_its_core_invalidates(ratio: float, outcome: str) -> None:
    busy = {**GOOD_CLIENT, "cpu_ratio": ratio, "cpu_seconds": 1.0, "workers": 4}

    gate = gates_of(cell(good_step(client=busy)))["client_cpu"]

    assert (gate["outcome"], gate["value"]) == (outcome, ratio)  # of the busiest of the four
    assert "load.workers" in gate["detail"]


def test_a_suspended_client_invalidates() -> None:
    step = good_step(client={**GOOD_CLIENT, "suspended_seconds": 60.0})

    gate = gates_of(cell(step))["client_suspended"]

    assert (gate["outcome"], gate["invalidates"]) == ("fail", True)
    assert gate["detail"] == "the client was stopped for 60 s"


def test_what_the_client_did_not_report_is_unknown_not_passed() -> None:
    gates = gates_of(cell(good_step(client=None)))

    assert gates["client_suspended"]["outcome"] == "unknown"
    assert gates["steal"]["outcome"] == "unknown"


def test_a_step_after_one_that_did_not_drain_is_invalid() -> None:
    data = cell(good_step(drained=False), good_step())

    assert gates_of(data, step=1)["drained"]["outcome"] == "fail"
    assert not gates_of(data, step=1)["drained"]["invalidates"]
    assert gates_of(data, step=2)["started_idle"]["outcome"] == "fail"


@pytest.mark.parametrize(
    ("waiting", "running", "outcome"), [(0, 0, "pass"), (0, 1, "fail"), (3, 4, "fail")]
)
def test_the_services_own_gauges_say_whether_a_step_began_idle(
    waiting: int, running: int, outcome: str
) -> None:
    gauges = [
        *scraped("service_waiting", {}, {-0.5: waiting, 1.0: 9}),
        *scraped("service_running", {}, {-0.5: running, 1.0: 9}),
    ]
    second = good_step(samples=[*up(NODE_TARGET, SECONDS), *gauges])

    gate = gates_of(cell(good_step(drained=False), second), step=2)["started_idle"]

    assert (gate["outcome"], gate["value"]) == (outcome, waiting + running)


@pytest.mark.parametrize(("hole", "coverage", "gap"), [(1, "fail", "pass"), (3, "fail", "fail")])
def test_holes_in_the_samples_invalidate(hole: int, coverage: str, gap: str) -> None:
    times = [at for at in SECONDS if not 4 <= at < 4 + hole]

    gates = gates_of(cell(good_step(samples=up(NODE_TARGET, times))))

    assert gates["scrape_coverage"]["outcome"] == coverage
    assert gates["scrape_gap"]["outcome"] == gap
    assert 'job="node"' in gates["scrape_coverage"]["detail"]


def test_without_any_sample_coverage_is_unknown() -> None:
    gates = gates_of(cell(good_step(samples=())))

    assert gates["scrape_coverage"]["outcome"] == "unknown"
    assert gates["scrape_gap"]["outcome"] == "unknown"


def counters(sent: int, over: int, at: float = 40.0, coverage: float = 1.0) -> list[Any]:
    """Give the scrapes of a client with two workers, the last one at `at`."""
    target = {"instance": "127.0.0.1:9000", "job": "load"}
    samples = up(NODE_TARGET, SECONDS)
    samples += up(target, SECONDS[: round(coverage * len(SECONDS))])
    for worker, share in (("0", 0.25), ("1", 0.75)):
        labels = {**target, "worker": worker, "step": "1"}
        samples += scraped("escalade_load_sent_total", labels, {0.5: 1, at: share * sent})
        for outcome, part in (("2xx", 0.5), ("timeout", 0.5)):
            of = {**labels, "outcome": outcome}
            samples += scraped("escalade_load_requests_total", of, {at: share * part * over})
    return samples


@pytest.mark.parametrize(
    ("changes", "outcome", "says"),
    [
        ({}, "pass", "100 sent and 100 over; the request log 100 and 100"),
        ({"sent": 96}, "fail", "96 sent"),
        ({"over": 104}, "fail", "104 over"),
        ({"at": 9.0}, "unknown", "no scrape of the client's counters came after the last answer"),
        ({"coverage": 0.5}, "fail", "% of the scrapes of the client's counters succeeded"),
        ({"coverage": 0.1}, "fail", "% of the scrapes of the client's counters succeeded"),
    ],
)
def test_live_counters_that_are_missing_or_wrong_flag_and_never_invalidate(
    changes: dict[str, Any], outcome: str, says: str
) -> None:
    gates = gates_of(cell(good_step(samples=counters(**{"sent": 100, "over": 100, **changes}))))

    gate = gates["live_metrics"]
    assert (gate["outcome"], gate["invalidates"]) == (outcome, False)
    assert says in gate["detail"]
    assert gates["scrape_coverage"]["outcome"] == gates["scrape_gap"]["outcome"] == "pass"


@pytest.mark.parametrize(
    ("counted", "outcome"), [(100, "pass"), (101, "pass"), (103, "fail"), (97, "fail")]
)
def test_client_and_server_have_to_agree_within_one_percent(counted: int, outcome: str) -> None:
    requests = [replace(each, chunks=(0.01,)) for each in GOOD]
    tokens = scraped("service_tokens_total", {}, {-1.0: 0, 12.0: counted})
    step = good_step(requests, samples=[*up(NODE_TARGET, SECONDS), *tokens])

    gate = gates_of(cell(step, agreement=AGREEMENT))["client_server_agreement"]

    assert (gate["outcome"], gate["invalidates"]) == (outcome, True)


def test_disagreement_that_failed_requests_may_explain_does_not_invalidate() -> None:
    requests = [
        replace(each, chunks=(0.01,), error="timeout" if place < 10 else None)
        for place, each in enumerate(GOOD)
    ]
    tokens = scraped("service_tokens_total", {}, {-1.0: 0, 12.0: 96})
    step = good_step(requests, samples=[*up(NODE_TARGET, SECONDS), *tokens])

    gate = gates_of(cell(step, agreement=AGREEMENT))["client_server_agreement"]

    assert (gate["outcome"], gate["invalidates"]) == ("unknown", False)
    assert "10 failed requests" in gate["detail"]


def test_a_counter_that_was_declared_and_not_scraped_leaves_a_hole_in_validity() -> None:
    gate = gates_of(cell(good_step(), agreement=AGREEMENT))["client_server_agreement"]

    assert (gate["outcome"], gate["invalidates"]) == ("unknown", True)


@pytest.mark.parametrize(
    ("outcome", "cause", "detail"),
    [
        (
            "service_failed",
            "the service was killed by SIGKILL",
            "the service failed: the service was killed by SIGKILL",
        ),
        ("client_failed", "exit code 1", "the load client failed: exit code 1"),
        ("not_run", None, "not run"),
    ],
)
def test_a_step_that_was_not_measured_has_one_gate(
    outcome: str, cause: str | None, detail: str
) -> None:
    gates = gates_of(cell(good_step(outcome=outcome, cause=cause)))

    assert list(gates) == ["step_measured"]
    assert (gates["step_measured"]["outcome"], gates["step_measured"]["detail"]) == ("fail", detail)


def test_an_empty_cohort_knows_nothing() -> None:
    gates = gates_of(cell(good_step([Request(-1.0)])))

    unknown = {name for name, gate in gates.items() if gate["outcome"] == "unknown"}
    assert {
        "late_ratio",
        "arrival_rate",
        "gap_cv",
        "client_backlog",
        "over_saturation",
        "backlog_slope",
        "warm_up",
        "littles_law",
    } <= unknown


def test_two_digits_are_written_without_an_exponent() -> None:
    assert [two_digits(x) for x in (99.96, 46.8, 5.52, 0.0)] == ["100", "47", "5.5", "0"]
