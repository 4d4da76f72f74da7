"""Limits that could never be met, or always, are refused."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.errors import InputError
from escalade.monitoring.limits import Bands, Limits


def test_the_limits_are_those_of_the_documents() -> None:
    limits, bands = Limits(), Bands()

    assert (limits.rate_qps, limits.vram_free_ratio, limits.queue_length) == (65, 0.2, 50)
    assert (limits.cache_hit_ratio, limits.cache_lookups) == (0.6, 100)
    assert bands.vram_bytes == (8_000_000_000, 10_500_000_000)
    assert bands.ram_bytes == (48_000_000_000, 60_000_000_000)
    assert bands.temperature_celsius == (70, 85)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_qps": 0.0},
        {"rate_qps": -65.0},
        {"queue_length": float("nan")},
        {"queue_length": float("inf")},
        {"vram_free_ratio": 1.0},
        {"vram_free_ratio": 20.0},
        {"cache_hit_ratio": 0.0},
        {"cache_lookups": 0},
    ],
)
def test_a_limit_out_of_its_range_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong

    with pytest.raises(InputError, match=rf"^{name} is .*: expected a (share|number)"):
        Limits(**wrong)


@pytest.mark.parametrize(
    "band", [(0.0, 10.0), (10.0, 10.0), (10.5, 8.0), (8.0, float("inf")), (8.0, float("nan"))]
)
def test_a_band_needs_yellow_before_red(band: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"temperature_celsius is .*yellow first"):
        Bands(temperature_celsius=band)
