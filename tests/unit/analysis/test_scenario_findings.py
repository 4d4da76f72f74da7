"""Findings on what scenarios showed, and the one line of a deployment that nobody scraped."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.analysis.findings import MONITORING_OFF
from escalade.analysis.findings.rule import FINE, UNSEEN
from escalade.analysis.kpis.series_kpis import UNMONITORED
from unit.analysis.campaigns import GATES, fine
from unit.analysis.scenario_rows import FIRES, contention, made, recovery
from unit.analysis.test_findings import firing, names, one, told


@pytest.mark.parametrize("rule", FIRES)
def test_what_is_not_decided_is_neither_told_nor_called_fine(rule: str) -> None:
    section, row = FIRES[rule]
    undecided = {**row, "status": "undecided"}
    if rule == "fails-beside-the-stressor":
        undecided |= {"error_ratio_beside": None}
    if rule == "short-of-standards":
        undecided |= {"outcome": "unknown", "found": None}
    rows = told(made(section, undecided))

    assert rule not in names(rows, FINE)
    assert rule not in firing(made(section, undecided))


def test_a_copy_that_never_answers_again_is_told_though_the_others_do() -> None:
    row = recovery(replicas=2, held_ratio=0.5, status="stays dead", recover_seconds=None)

    assert "stays-dead" in firing(made("recovery", row))
    back = recovery(replicas=2, held_ratio=0.5, back_seconds=4.0)
    assert "stays-dead" not in firing(made("recovery", back))


@pytest.mark.parametrize(
    ("row", "deployed", "advice"),
    [
        (recovery(), {}, "`replicas: 2` and `failover: true`"),
        (
            recovery(replicas=2, held_ratio=0.5, back_seconds=4.0),
            {"replicas": 2},
            "`failover: true`",
        ),
        (
            recovery(replicas=2, held_ratio=0.6, back_seconds=4.0),
            {"replicas": 2, "failover": True},
            "one copy can't carry the load of all",
        ),
    ],
)
def test_what_to_try_against_losses_follows_from_what_is_there(
    row: dict[str, Any], deployed: dict[str, Any], advice: str
) -> None:
    campaign = made("recovery", row)
    campaign.definition = {"deployment": deployed}

    assert advice in one(campaign, "a-kill-costs-requests")["next"][0]


def test_the_step_that_suffers_most_is_told() -> None:
    campaign = made("contention", contention(), contention(step=3, ci_low=0.9, words="+1 s"))

    row = one(campaign, "slowed-by-the-stressor")

    assert "step 3" in row["measured"]
    assert row["measured"].endswith("so in 2 of 2 steps")
    assert row["steps"] == [2, 3]


def test_rules_that_lack_samples_alone_share_one_line_where_monitoring_is_off() -> None:
    campaign = fine(1)
    campaign.environment["monitoring"] = "off"
    scraped = [name for name in GATES if name not in ("gap_cv", "late_ratio")]
    for name in ("neighbours", "client_server_agreement", "scrape_coverage", "scrape_gap"):
        assert name in scraped
        campaign.fail(name, outcome="not applicable", detail=UNMONITORED)
    campaign.drop("service_memory_growth_bytes_per_second", "service_memory_bytes")

    rows = [row for row in told(campaign) if row["kind"] == UNSEEN]

    (off,) = [row for row in rows if row["rule"] == MONITORING_OFF]
    assert off["measured"] == (
        "monitoring is off, so 4 rules had no samples to look at: neighbours, counts-disagree, "
        "scrape-holes, memory-grows"
    )
    assert not {"neighbours", "counts-disagree", "scrape-holes"} & {row["rule"] for row in rows}


def test_what_was_not_scraped_by_accident_keeps_its_own_lines() -> None:
    rows = told(fine(1).fail("neighbours", outcome="unknown"))

    assert "neighbours" in names(rows, UNSEEN)
    assert MONITORING_OFF not in names(rows, UNSEEN)
