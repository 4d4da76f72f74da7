"""Numbers as JSON holds them: it knows neither infinity nor NaN."""

from __future__ import annotations

import math


def finite(value: float | None) -> float | None:
    """Give a number that JSON can hold, and None for any other."""
    return None if value is None or not math.isfinite(value) else float(value)
