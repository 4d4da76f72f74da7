"""The strip under the title: one field for each objective and deployment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.report.sections.strip import verdict_strip
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

RATES = (1.0, 2.0)


def with_slos(data: ReportData, slos: list[dict[str, Any]]) -> ReportData:
    """Give the data with other verdicts on objectives."""
    return replace(data, verdicts={**data.verdicts, "slos": slos})


def test_red_comes_first_then_green_and_the_grade_is_last() -> None:
    data = campaign.report_data(rates=RATES)
    row = {**data.slos[0], "counts": True}
    slos = [{**row, "slo": word, "verdict": word} for word in ("INCONCLUSIVE", "PASS", "FAIL")]
    strip = verdict_strip(with_slos(data, slos))

    assert [each.verdict for each in strip[:3]] == ["FAIL", "PASS", "INCONCLUSIVE"]
    assert strip[-1].word.startswith("Data quality")


def test_repetitions_without_a_verdict_over_them_share_a_field_that_has_the_worst() -> None:
    data = campaign.report_data(("slots-2", "slots-3"), 2, RATES)
    given = {"slots-2": ("PASS", "FAIL"), "slots-3": ("PASS", "PASS")}
    row = {**data.slos[0], "counts": True}
    slos = [
        {**row, "deployment": name, "cell": cell.name, "verdict": verdict}
        for name, verdicts in given.items()
        for cell, verdict in zip(data.deployments[name], verdicts, strict=True)
    ]

    strip = [each for each in verdict_strip(with_slos(data, slos)) if each.verdict]

    assert [each.verdict for each in strip] == ["FAIL", "PASS"]
    assert strip[0].text.endswith("slots-2, 2\N{NO-BREAK SPACE}repetitions: 1 FAIL, 1 PASS")
    assert strip[1].text.endswith("slots-3, 2\N{NO-BREAK SPACE}repetitions: 2 PASS")


def test_a_verdict_over_repetitions_says_how_many_there_are() -> None:
    data = campaign.report_data(("slots-2", "slots-3"), 3, RATES)

    strip = [each for each in verdict_strip(data) if "latency" in each.text]

    assert len(strip) == 2
    assert all(each.text.endswith("over 3\N{NO-BREAK SPACE}repetitions") for each in strip)
