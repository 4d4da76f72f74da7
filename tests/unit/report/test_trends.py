"""The trend over campaigns on the page: a chart for each figure, change points in words, what is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.report.page import render
from escalade.report.sections.trends import trends_of, trends_section
from escalade.report.words import NO_BREAK
from unit.report import campaign

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = 86_400.0
BEGAN = 1_789_948_800.0
"""2026-09-21 00:00 UTC."""


def point(value: float | None, **changes: Any) -> dict[str, Any]:
    interval = {"ci_low": None, "ci_high": None}
    if value is not None:
        interval = {"ci_low": value - 0.1, "ci_high": value + 0.1}
    told = {"value": value, "infinite": False, "ci_method": "t", "n": 3, "beyond": "", "why": ""}
    return {**told, **interval, **changes}


def history(values: Sequence[float | None], split: int | None = None) -> dict[str, Any]:
    """Give the history of one capacity, as `escalade history --format json` prints it."""
    campaigns = [
        {
            "campaign": "small",
            "path": f"results/{place}",
            "repetitions": 3,
            "dirty": False,
            "measured_at": BEGAN + place * DAY,
            "escalade": "0.1.0",
            "commit": "0123abcd",
        }
        for place in range(len(values))
    ]
    splits = (
        []
        if split is None
        else [
            {
                "campaign": "small",
                "path": f"results/{split}",
                "measured_at": BEGAN + split * DAY,
                "index": split,
                "p": 0.001,
                "word": "worse",
                "before": 4.0,
                "after": 3.0,
                "scale": "ratio",
                "effect": 0.75,
                "ci_low": 0.7,
                "ci_high": 0.8,
                "relative": -0.25,
                "changes": [{"what": "machine.kernel", "baseline": "6.1", "candidate": "6.8"}],
            }
        ]
    )
    series = {
        "metric": "capacity_qps",
        "stat": "value",
        "label": "",
        "at": "",
        "unit": "1/s",
        "better": "higher",
        "points": [point(value) for value in values],
        "note": "",
        "change_points": splits,
    }
    one = {
        "deployment": "demo",
        "workload": "08b9f1f052b0",
        "objectives": [],
        "hardware": {"cpu": ["EPYC"], "gpu": []},
        "campaigns": campaigns,
        "series": [series],
    }
    return {"schema": 1, "level": 0.045, "margin": 0.05, "histories": [one], "skipped": []}


def test_without_a_history_there_is_no_such_section() -> None:
    assert trends_section(campaign.report_data(rates=(1.0,))) is None
    assert trends_of({}) is None


def test_a_change_point_stands_in_words_picture_and_table() -> None:
    data = campaign.report_data(rates=(1.0,))
    found = history([4.0, 4.1, 3.9, 4.0, 3.0, 3.1, 2.9, 3.0], split=4)

    page = render(replace(data, history=found)).replace(NO_BREAK, " ")

    assert 'href="#trends"' in page
    assert "Capacity became worse by −25.0 % (95 % from −30.0 % to −20.0 %) with results/4" in page
    section = page[page.index('<section id="trends"') :]
    assert section.count("▼ worse") == 2  # in the picture and in the table
    assert "2026-09-21 to 2026-09-28" in section
    assert "8 campaigns, 1 change point." in section


def test_a_value_that_is_missing_is_a_gap_with_a_reason_in_the_table() -> None:
    found = history([4.0, None, 4.2])
    found["histories"][0]["series"][0]["points"][1]["why"] = "invalid: late_ratio"

    section = trends_of(found)

    assert section is not None
    (chart,) = section.charts
    assert chart.table.rows[1][2] == "—"
    assert chart.table.rows[1][5] == "invalid: late_ratio"


def test_a_figure_without_any_value_is_not_drawn_and_one_campaign_is_no_trend() -> None:
    nothing = trends_of(history([None, None]))
    assert nothing is not None
    assert nothing.charts == ()

    alone = trends_of({**history([4.0]), "skipped": [{"path": "x", "why": "x has not finished"}]})
    assert alone is not None
    assert alone.trends == ()
    assert alone.remarks[0].startswith("Demo: no other campaign that was given")
    assert alone.remarks[1] == "Left out: x has not finished."
