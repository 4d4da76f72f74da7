"""A stand-in that answers what a collection asks, from samples that are known."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.monitoring.conftest import Answer, StandIn

BASE = 1_790_000_000
NOW = BASE + 1000.0
PAGES = {
    "/api/v1/status/config": {"yaml": "global:\n  scrape_interval: 1s\n"},
    "/api/v1/status/buildinfo": {"version": "2.42.0"},
}


def success(data: Any) -> Answer:
    return 200, json.dumps({"status": "success", "data": data}).encode()


@dataclass
class Recorded:
    """What a Prometheus has.

    `series` maps a selector to its series, as (labels, {second after BASE: value}); `values` an
    expression to what it gives everywhere.
    """

    stand_in: StandIn
    series: dict[str, list[tuple[dict[str, str], dict[float, float]]]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    before: Callable[[str, dict[str, str]], Answer | None] | None = None

    @property
    def url(self) -> str:
        return self.stand_in.url

    def add(self, selector: str, labels: dict[str, str], points: dict[float, float]) -> None:
        self.series.setdefault(selector, []).append((labels, points))

    def scraped(self, seconds: range, **labels: str) -> None:
        """Add a target that was scraped at these seconds."""
        own = {"__name__": "up", "job": "service", "instance": "a:1"} | labels
        self.add("up", own, dict.fromkeys(map(float, seconds), 1.0))

    def reply(self, path: str, form: dict[str, str]) -> Answer | None:
        if self.before is not None and (said := self.before(path, form)) is not None:
            return said
        if path in PAGES or path.startswith("/api/v1/label/"):
            return success(PAGES.get(path, ["1", "2"]))
        query = form.get("query") or form["match[]"]
        for part, words in self.refused.items():
            if part in query:
                body = f'{{"status":"error","errorType":"bad_data","error":"{words}"}}'
                return 400, body.encode()
        return success(self._evaluated(path, query, form))

    def _evaluated(self, path: str, query: str, form: dict[str, str]) -> Any:
        if path == "/api/v1/series":
            return [labels for labels, _ in self.series.get(query, [])]
        if query == "time()":
            return {"resultType": "scalar", "result": [NOW, str(NOW)]}
        if path.endswith("query_range"):
            return {"resultType": "matrix", "result": self._on_grid(query, form)}
        found = re.fullmatch(r"(.*)\[(\d+)ms\]", query, re.DOTALL)
        assert found, form
        end = float(form["time"])
        series = self._between(found[1], end - int(found[2]) / 1000, end)
        return {"resultType": "matrix", "result": series}

    def _between(self, selector: str, start: float, end: float) -> list[dict[str, Any]]:
        result = []
        for labels, points in self.series.get(selector, []):
            values = [
                [BASE + at, repr(value)]
                for at, value in sorted(points.items())
                if start <= BASE + at <= end
            ]
            if values:
                result.append({"metric": labels, "values": values})
        return result

    def _on_grid(self, query: str, form: dict[str, str]) -> list[dict[str, Any]]:
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        moments = [start + k * step for k in range(int((end - start) / step + 1e-6) + 1)]
        found = re.fullmatch(r"count\(count_over_time\((.*)\[(\d+)ms\]\)\)", query, re.DOTALL)
        if found is None:
            if query not in self.values:
                return []
            value = repr(self.values[query])
            return [{"metric": {}, "values": [[moment, value] for moment in moments]}]
        stamps = [BASE + at for _, points in self.series.get(found[1], []) for at in points]
        length = int(found[2]) / 1000
        hits = [
            [moment, "1"]
            for moment in moments
            if any(moment - length <= stamp <= moment for stamp in stamps)
        ]
        return [{"metric": {}, "values": hits}] if hits else []


@pytest.fixture
def recorded(stand_in: StandIn) -> Recorded:
    here = Recorded(stand_in)
    stand_in.answer = here.reply
    return here
