"""Values as JSON can hold them: no NaN, no infinity, no text that is none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.stats.intervals import NOT_ESTIMABLE
from escalade.report.words import known, without_control

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_ABOVE = "not bounded above"
NOT_BELOW = "not bounded below"
NEITHER = "no interval for this value"


def plain(content: Any) -> Any:
    """Give content with null for what is no finite number, and text without control characters."""
    if isinstance(content, dict):
        return {without_control(str(key)): plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value) for value in content]
    if isinstance(content, str):
        return without_control(content)
    if isinstance(content, bool | int) or content is None:
        return content
    return number(content)


def number(value: Any) -> float | None:
    """Give a finite number, else None."""
    found = known(value)
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    """Give a whole number, else None."""
    found = known(value)
    return int(found) if math.isfinite(found) else None


def text(value: Any) -> str:
    """Give a text without control characters; nothing for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return without_control(str(value)).strip()


def digits(value: float) -> float | None:
    """Give a number with the six digits that a chart can show; None where a line is broken."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def unbounded(row: Mapping[Any, Any]) -> str | None:
    """Say why a bound of an interval is no number; None when both are."""
    low, high = row.get("ci_low"), row.get("ci_high")
    if number(low) is not None and number(high) is not None:
        return None
    if _infinite(high):
        return NOT_ABOVE
    if _infinite(low):
        return NOT_BELOW
    method = text(row.get("ci_method"))
    return method if method.startswith(NOT_ESTIMABLE) else NEITHER


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)
