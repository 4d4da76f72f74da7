"""The section on caches: what a service counts, and nothing where none counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd

from escalade.report.page import content_of, render
from escalade.report.sections.caches import caches_table
from unit.report import campaign


def counted(cell: str, metric: str, value: float | None, **labels: str) -> dict[str, Any]:
    """Make a row of the KPI table at step 1."""
    inner = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    return {
        "cell": cell,
        "step": 1,
        "metric": metric,
        "stat": "value",
        "unit": "ratio" if metric == "cache_hit_ratio" else "lookups",
        "value": value,
        "n": 40,
        "source": f"series.parquet{{{inner}}}",
        "quality": "ok" if value is not None else "missing: nobody asked",
    }


def test_every_cache_has_a_line_with_rate_and_lookups() -> None:
    data = campaign.report_data(rates=(1.0, 2.0))
    cell = data.facts[0].name
    rows = [
        counted(cell, "cache_hit_ratio", 0.75, cache_type="llm", mode="fast"),
        counted(cell, "cache_lookups", 36, cache_type="llm", mode="fast"),
        counted(cell, "cache_hit_ratio", None, cache_type="prefix"),
        counted(cell, "cache_lookups", 0, cache_type="prefix"),
    ]
    data = replace(data, kpis=pd.concat([data.kpis, pd.DataFrame(rows)], ignore_index=True))

    table = caches_table(data)

    assert [row[3:] for row in table.rows] == [
        ("llm, fast", "75\N{NO-BREAK SPACE}%", "", "36", "—", ""),
        ("prefix, in tokens", "—", "", "0", "—", "Nobody asked."),
    ]
    page = render(data)
    assert '<section id="caches"' in page
    assert 'href="#caches"' in page


def test_without_a_cache_there_is_no_section() -> None:
    data = campaign.report_data(rates=(1.0, 2.0))

    assert not caches_table(data)
    assert 'id="caches"' not in render(data)
    assert not content_of(data)["caches"]
