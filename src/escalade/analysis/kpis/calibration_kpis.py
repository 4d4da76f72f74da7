"""KPIs of a calibration: what the load generator reached and added against a null server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.readings import Reading, plain
from escalade.analysis.stats.intervals import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

STATS = {"p50": 0.5, "p99": 0.99}
"""Percentiles of a calibration's times: their names, and their quantiles."""


def calibration_readings(found: Mapping[str, Any]) -> list[Reading]:
    """Give the figures of a calibration as KPIs of the whole cell."""
    why, n = str(found["detail"]), found.get("requests") or 0
    return [
        plain("calibration_qps", found.get("target_qps"), why, n=n),
        plain("client_ceiling_qps", found.get("ceiling_qps"), why, n=n),
        *(
            Reading("client_added_seconds", stat, _restored(found["added_seconds"][stat]))
            for stat in STATS
        ),
    ]


def _restored(content: Mapping[str, Any]) -> Estimate:
    numbers = {key: math.nan for key in ("value", "low", "high", "n_eff") if content[key] is None}
    return Estimate(**{**content, **numbers})
