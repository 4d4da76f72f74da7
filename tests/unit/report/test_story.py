"""The summary, word by word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from escalade.analysis.measured.cell import CellData
from escalade.report.data import ReportData
from escalade.report.sections import capability, judgement, story
from escalade.report.sections.held import holds
from escalade.report.sections.objectives import objective
from unit.report import campaign

CELL = "small_rep-1_0badcafe"


def spoken(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def cell(name: str = CELL, repetition: int = 1, outcome: str = "finished") -> CellData:
    steps = [
        {"step": 1, "target_qps": 2.0, "outcome": "measured"},
        {"step": 2, "target_qps": 4.0, "outcome": "measured"},
    ]
    return CellData(
        cell={
            "cell": name,
            "deployment": "small",
            "repetition": repetition,
            "outcome": outcome,
            "cause": None if outcome == "finished" else "it died",
        },
        windows={"steps": steps},
        requests=pd.DataFrame(),
        series=pd.DataFrame(),
        environment=campaign.environment(),
    )


def p90(value: float, low: float, high: float, name: str = CELL, step: int = 1) -> dict[str, Any]:
    numbers = {"value": value, "ci_low": low, "ci_high": high, "n": 80, "quality": "ok"}
    where = {"cell": name, "step": step, "metric": "latency_seconds", "stat": "p90", "unit": "s"}
    return {**where, **numbers}


def verdict(word: str, **changes: Any) -> dict[str, Any]:
    row = {"cell": CELL, "deployment": "small", "step": 1, "target_qps": 2.0, "slo": "fast"}
    row |= {"metric": "latency_seconds", "stat": "p90", "limit": 1.5, "unit": "s", "n": 80}
    row |= {"value": 0.6123, "ci_low": 0.5501, "ci_high": 0.7012, "reason": "", "counts": True}
    return {**row, "verdict": word, **changes}


ALONG = [
    verdict("PASS", counts=False),
    verdict("INCONCLUSIVE", counts=False, target_qps=3.0),
    verdict("FAIL", counts=False, target_qps=4.0),
]


def held(capacity: float | None = 2.94, **changes: Any) -> dict[str, Any]:
    row = {"deployment": "small", "cell": CELL, "capacity_qps": capacity, "saturated": True}
    row |= {"ci_low": 2.84, "ci_high": 3.04, "method": "two segments", "reason": ""}
    return {**row, "slo_capacity_qps": None, "slo_reason": "", "steps_used": [1, 2], **changes}


def data(**changes: Any) -> ReportData:
    given = ReportData(
        campaign={"campaign": "demo"},
        kpis=pd.DataFrame([p90(0.6123, 0.5501, 0.7012)]),
        verdicts={"slos": [verdict("PASS")], "capacity": [held()], "gates": []},
        cells=[cell()],
        provenance={},
    )
    return replace(given, **changes)


def test_the_headline_says_capacity_latency_and_how_sure_it_is() -> None:
    assert spoken(story.headline(data(), "small")) == (
        "SmolLM2-135M on 1 core holds 2.9 requests/s [2.8, 3.0] before its queue grows without "
        "end; at 2 requests/s 90 % of requests end within 0.61 s [0.55, 0.70]; this run only "
        "(1 repetition)."
    )


def test_a_ladder_that_never_saturates_gives_a_lower_bound() -> None:
    row = held(None, saturated=False, ci_low=3.98, ci_high=None)

    assert spoken(capability.capacity("It", [row])) == (
        "It holds at least 3.98 requests/s, and no valid step brought it to its limit"
    )


def test_a_collapse_is_called_one() -> None:
    row = held(2.2, ci_low=2.2, ci_high=8.0, collapse=True)

    assert spoken(capability.capacity("It", [row])) == (
        "It holds 2.2 requests/s [2.2, 8.0] before its throughput collapses"
    )


def test_a_capacity_that_is_not_known_says_why() -> None:
    row = held(None, saturated=False, ci_low=None, ci_high=None, reason="no valid step.")

    assert capability.capacity("It", [row]) == "how much load It holds is not known (no valid step)"


def test_two_repetitions_give_a_range_and_no_interval_over_runs() -> None:
    other = "small_rep-2_0badcafe"
    found = data(
        cells=[cell(), cell(other, 2)],
        kpis=pd.DataFrame([p90(0.60, 0.55, 0.70), p90(0.70, 0.65, 0.80, other)]),
        verdicts={
            "slos": [verdict("PASS"), verdict("PASS", cell=other)],
            "capacity": [held(2.8), held(3.0, cell=other)],
        },
    )

    assert spoken(story.headline(found, "small")) == (
        "SmolLM2-135M on 1 core holds 2.9 requests/s (median; 2.8 to 3) before its queue grows "
        "without end; at 2 requests/s 90 % of requests end within 0.65 s (median; 0.6 to 0.7); "
        "these 2 runs only, too few for an interval over runs."
    )


def test_enough_repetitions_speak_with_their_joint_interval() -> None:
    names = [f"small_rep-{k}_0badcafe" for k in (1, 2, 3)]
    joint = {"cell": None, "step": None, "value": 0.62, "ci_low": 0.58, "ci_high": 0.66, "n": 3}
    found = data(
        cells=[cell(name, k) for k, name in enumerate(names, start=1)],
        verdicts={
            "slos": [
                *(verdict("PASS", cell=name, counts=False) for name in names),
                verdict("PASS", **joint),
            ],
            "capacity": [
                *(held(cell=name) for name in names),
                held(3.1, cell=None, ci_low=2.9, ci_high=3.3),
            ],
        },
    )

    assert spoken(story.headline(found, "small")) == (
        "SmolLM2-135M on 1 core holds 3.1 requests/s [2.9, 3.3] before its queue grows without "
        "end; at 2 requests/s 90 % of requests end within 0.62 s [0.58, 0.66]; over 3 repetitions."
    )


def test_a_failed_cell_is_told_first_and_claims_nothing() -> None:
    failed = campaign.without_results(cell(), "it never became ready", ["out of memory"])
    told = story.summary(data(cells=[failed], kpis=pd.DataFrame(), verdicts={}))

    assert [spoken(statement.text) for statement in told] == [
        f"1 of 1 cell failed ({CELL}: it never became ready).",
        "Nothing is known of SmolLM2-135M on 1 core: no step was measured.",
    ]


def test_an_over_saturated_step_has_no_latency_in_the_headline() -> None:
    gates = [{"cell": CELL, "step": 1, "gate": "over_saturation", "outcome": "fail"}]
    found = data()
    found = data(verdicts={**found.verdicts, "gates": [{**gates[0], "invalidates": False}]})

    assert "end within" not in story.headline(found, "small")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            verdict("PASS", reason="p90 0.612 s, 95 % [0.55, 0.701], limit 1.5 s"),
            (
                "At 2 requests/s 90 % of requests end within 0.61 s [0.55, 0.70]; the limit of 1.5 s "
                "is kept."
            ),
        ),
        (
            verdict("FAIL", value=2.0, ci_low=1.8, ci_high=None),
            (
                "At 2 requests/s 90 % of requests end within 2.0 s [1.8, ∞); the limit of 1.5 s is "
                "missed."
            ),
        ),
        (
            verdict("FAIL", value=None, ci_low=None, ci_high=None, reason="it died"),
            "At 2 requests/s the limit of 1.5 s is missed: it died.",
        ),
        (
            verdict("INCONCLUSIVE", stat="p50", reason="120 more requests would decide"),
            (
                "At 2 requests/s half of the requests end within 0.61 s [0.55, 0.70]; whether the "
                "limit of 1.5 s is kept is undecided: 120 more requests would decide."
            ),
        ),
        (
            verdict("INCONCLUSIVE", value=None, metric="ttft_seconds", reason="needs n ≥ 36"),
            (
                "At 2 requests/s it is undecided whether 90 % of answers begin within 1.5 s: "
                "needs n ≥ 36."
            ),
        ),
        (
            verdict("INVALID", reason="gate late_ratio: 20 % were late"),
            "At 2 requests/s the limit of 1.5 s can't be judged: gate late_ratio: 20 % were late.",
        ),
        (
            verdict("NOT_RUN", value=None, reason="not run"),
            "At 2 requests/s nothing was measured: not run.",
        ),
        (
            verdict("PASS", metric="error_ratio", stat="value", unit="ratio", limit=0.01)
            | {"value": 0.0, "ci_low": 0.0, "ci_high": 0.008},
            "At 2 requests/s the share of failed requests is 0 % [0, 0.8]; the limit of 1 % is kept.",
        ),
    ],
)
def test_each_verdict_is_told_as_what_it_is(row: dict[str, Any], sentence: str) -> None:
    assert spoken(judgement.judgement(row)) == sentence


def test_objectives_without_a_rate_are_told_along_the_ladder() -> None:
    rows = [
        verdict("PASS", counts=False),
        verdict("PASS", counts=False, target_qps=3.0),
        verdict("FAIL", counts=False, target_qps=4.0),
    ]

    assert spoken(judgement.along_the_ladder(rows)) == (
        "p90 of end-to-end latency ≤ 1.5 s: PASS at 2 and 3, FAIL at 4 requests/s "
        "(for information)."
    )


def test_the_rate_within_objectives_names_its_reason() -> None:
    row = held(slo_capacity_qps=3.12, slo_ci_low=2.91, slo_reason="fast: kept at 2, missed at 4")
    row["slo_ci_high"] = 3.44

    told = spoken(judgement.objectives([row], judged=ALONG))
    assert told == (
        "How the rate within the objectives was found: fast: kept at 2, missed at 4. Confirmed, with "
        "PASS at every step, up to 2 requests/s; at 3 requests/s the verdict is INCONCLUSIVE."
    )
    assert judgement.objectives([row], judged=[]) == ""


def test_a_rate_that_no_interval_confirms_is_called_an_estimate() -> None:
    row = held(slo_capacity_qps=3.123, slo_reason="fast: kept at 2, missed at 4")
    open_ = [verdict("INCONCLUSIVE", counts=False), verdict("FAIL", counts=False, target_qps=4.0)]

    assert spoken(judgement.objectives([row, row], judged=open_)) == (
        "By point estimates alone the objectives are kept up to 3.12 requests/s in the lowest of 2 "
        "repetitions: fast: kept at 2, missed at 4. No step confirms it: at 2 requests/s the verdict "
        "is INCONCLUSIVE."
    )


def test_the_headline_is_the_rate_within_the_objectives_where_it_is_known() -> None:
    row = held(4.6, ci_low=4.4, ci_high=4.8, slo_capacity_qps=4.1, slo_ci_low=3.9, slo_ci_high=4.3)
    row |= {"slo_passed_qps": 4.0, "slo_failed_qps": 5.0}  # 4 is within 5 % of 4.1
    found = data(verdicts={"slos": [verdict("PASS")], "capacity": [row], "gates": []})

    assert spoken(story.headline(found, "small")) == (
        "SmolLM2-135M on 1 core holds 4.1 requests/s [3.9, 4.3] at p90 under 1.5 s, this run only "
        "(1 repetition); beyond 4.6 requests/s [4.4, 4.8] its queue grows without end; at 2 requests/s "
        "90 % of requests end within 0.61 s [0.55, 0.70]."
    )


def told_of(*rows: dict[str, Any], slos: list[dict[str, Any]] | None = None) -> str:
    given = slos or [verdict("PASS", target_qps=4.0)]
    return spoken(holds("It", rows, given, "over 5 repetitions"))


def test_a_rate_at_the_capacity_is_told_once() -> None:
    row = held(4.1, cell=None, slo_capacity_qps=4.1, slo_ci_low=3.9, slo_ci_high=4.3)

    assert told_of(row) == (
        "It holds 4.1 requests/s [3.9, 4.3] at p90 under 1.5 s, over 5 repetitions; beyond that its "
        "queue grows without end"
    )


def test_what_no_interval_confirms_is_not_held() -> None:
    row = held(4.4, slo_capacity_qps=4.4, slo_ci_high=6.2)

    assert told_of(row, slos=[verdict("INCONCLUSIVE")]).startswith(
        "It may hold 4.4 requests/s [0, 6.2] at p90 under 1.5 s, over 5 repetitions: point "
        "estimates say so, no interval confirms it; "
    )


INTERPOLATED = {"slo_capacity_qps": 3.7, "slo_ci_low": 1.5, "slo_ci_high": 5.8}


def test_a_rate_between_a_step_that_passes_and_one_that_fails_is_told_as_interpolated() -> None:
    row = held(3.6, **INTERPOLATED, slo_passed_qps=2.0, slo_failed_qps=6.0)

    assert told_of(row).startswith(
        "It holds at least 2 requests/s at p90 under 1.5 s and fails at 6 requests/s, over 5 "
        "repetitions; by interpolation 3.7 requests/s [1.5, 5.8], which no step confirms; beyond "
    )
    undecided = {**row, "slo_failed_qps": None}
    assert told_of(undecided).startswith(
        "It holds at least 2 requests/s at p90 under 1.5 s, over 5 repetitions; by interpolation "
    )
    nowhere = {**row, "slo_passed_qps": None}
    assert told_of(nowhere).startswith(
        "It may hold 3.7 requests/s [1.5, 5.8] at p90 under 1.5 s and fails at 6 requests/s, over 5 "
        "repetitions: point estimates say so, no step confirms it; "
    )


def test_what_every_run_holds_is_what_the_runs_together_hold() -> None:
    rows = [
        held(3.6, **INTERPOLATED, slo_passed_qps=2.0, slo_failed_qps=4.0),
        held(3.6, **INTERPOLATED, slo_passed_qps=1.0, slo_failed_qps=6.0),
    ]

    assert told_of(*rows).startswith(
        "It holds at least 1 requests/s at p90 under 1.5 s and fails at 6 requests/s, "
    )
    assert told_of(rows[0], {**rows[1], "slo_passed_qps": None}).startswith("It may hold ")


def test_earlier_results_name_the_steps_by_their_verdicts() -> None:
    row = held(3.6, **INTERPOLATED)

    assert told_of(row, slos=ALONG).startswith(  # PASS at 2, INCONCLUSIVE at 3, FAIL at 4
        "It holds at least 2 requests/s at p90 under 1.5 s and fails at 4 requests/s, "
    )


def test_a_top_step_that_only_its_point_estimate_keeps_is_not_held() -> None:
    row = held(None, saturated=False, ci_low=4.0, slo_capacity_qps=4.0, slo_ci_low=2.0)
    row |= {"slo_at_least": True, "slo_passed_qps": 2.0, "slo_failed_qps": None}

    assert told_of(row).startswith(
        "It holds at least 2 requests/s at p90 under 1.5 s, over 5 repetitions; by point estimates at "
        "least 4 requests/s, which no step confirms; "
    )


def test_a_rate_that_the_top_step_keeps_is_a_lower_bound() -> None:
    row = held(None, saturated=False, ci_low=4.0, slo_capacity_qps=4.0, slo_ci_low=4.0)

    assert told_of({**row, "slo_at_least": True}) == (
        "It holds at least 4 requests/s at p90 under 1.5 s, over 5 repetitions; no valid "
        "step brought it to its limit"
    )


def test_without_such_a_rate_in_every_run_nothing_of_it_is_claimed() -> None:
    known = held(slo_capacity_qps=4.0)

    assert told_of(known, held()) == ""
    assert told_of() == ""
    rates = verdict("PASS", metric="throughput_qps", stat="value", at_least=True)
    assert told_of(known, slos=[rates]) == ""


def test_an_objective_on_a_workload_of_a_mix_names_it() -> None:
    assert spoken(judgement.judgement(verdict("PASS", workload="chat"))).startswith(
        "At 2 requests/s 90 % of requests of chat end within 0.61 s"
    )
    errors = verdict("FAIL", workload="chat", metric="error_ratio", stat="value", unit="ratio")
    assert "the share of failed requests of chat is" in spoken(judgement.judgement(errors))


def test_repetitions_of_which_only_some_saturated_say_so() -> None:
    apart = [held(4.0, ci_low=3.8), held(None, saturated=False, ci_low=3.5, ci_high=None)]
    assert spoken(capability.capacity("It", apart)) == (
        "It holds at least 3.5 requests/s, and only in 1 of 2 repetitions a step brought it to its limit"
    )
    joint = held(None, ci_low=3.5, ci_high=None, reason="1 of 3 repetitions have a capacity.")
    assert spoken(capability.capacity("It", [joint])) == (
        "It holds at least 3.5 requests/s, and 1 of 3 repetitions have a capacity"
    )


def test_steps_robbed_by_neighbours_are_told_once() -> None:
    rates = (1.0, 2.0)
    robbed = campaign.simulated_cell(rates=rates, robbed=1)
    found = campaign.analysed([robbed], campaign.configuration(("smollm2",), 1, rates))
    sound = campaign.analysed(
        [campaign.simulated_cell(rates=rates)], campaign.configuration(("smollm2",), 1, rates)
    )

    texts = [spoken(statement.text) for statement in story.summary(found)]

    assert (
        "In 1 of 2 measured steps other programs used the service's CPUs, up to 47 % of them: "
        "such a step is INVALID, says nothing about the service, and is left out."
    ) in texts
    assert story.neighbours(sound, sound.facts) == ""


def test_a_campaign_without_cells_says_so() -> None:
    told = story.summary(data(cells=[], kpis=pd.DataFrame(), verdicts={}))

    assert [statement.text for statement in told] == [
        "Nothing was measured: this campaign has no finished cell."
    ]


def test_deployments_of_one_model_are_told_apart() -> None:
    found = data()

    assert story.subject(found.facts, several=False) == "SmolLM2-135M on 1\N{NO-BREAK SPACE}core"
    assert story.subject(found.facts, several=True).endswith("core (small)")


def test_a_minimum_is_told_as_one() -> None:
    row = verdict("PASS", metric="throughput_qps", stat="value", unit="1/s", limit=9.0)
    row |= {"value": 10.0, "ci_low": 9.3, "ci_high": 10.7, "at_least": True}
    row["reason"] = "value 10 1/s, 95 % [9.3, 10.7], at least 9 1/s"

    assert objective(row) == "Throughput ≥ 9/s"
    assert spoken(judgement.judgement(row)) == (
        "At 2 requests/s the throughput is 10.0/s [9.3, 10.7]; the minimum of 9/s is kept."
    )
    undecided = row | {"verdict": "INCONCLUSIVE", "value": None, "reason": "nothing came"}
    assert "undecided whether the throughput is at least 9" in spoken(
        judgement.judgement(undecided)
    )
    good = row | {"metric": "goodput_qps", "of": "fast"}
    assert "within fast ≥" in objective(good)
