"""Where alerts fire, and where the panels of a dashboard turn from green to red."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from escalade.errors import InputError

Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of alerts and annotations.

    Parameters
    ----------
    rate_qps
        Requests per second from which a service is said to be at risk.
    vram_free_ratio
        Share of a GPU's memory that has to be free, between 0 and 1.
    queue_length
        Requests that may wait at one service.
    cache_hit_ratio
        Share of the requests that a cache has to answer, between 0 and 1.
    cache_lookups
        Requests to a cache below which its share is not judged.

    Raises
    ------
    InputError
        When one of them can't be a limit.
    """

    rate_qps: float = 65.0
    vram_free_ratio: float = 0.2
    queue_length: float = 50.0
    cache_hit_ratio: float = 0.6
    cache_lookups: int = 100

    def __post_init__(self) -> None:
        """Refuse a limit at which an alert would always fire, or never could."""
        for field in fields(self):
            value = getattr(self, field.name)
            ratio = field.name.endswith("_ratio")
            if not (math.isfinite(value) and value > 0 and (value < 1 or not ratio)):
                expected = "a share between 0 and 1" if ratio else "a number above 0"
                raise InputError(f"{field.name} is {value:g}: expected {expected}.")


@dataclass(frozen=True, slots=True)
class Bands:
    """Figures from which a gauge is yellow, and from which it is red.

    Parameters
    ----------
    vram_bytes
        Memory that is used of a GPU.
    ram_bytes
        Memory that is used of a node.
    temperature_celsius
        Of a GPU.

    Raises
    ------
    InputError
        When red does not come after yellow, or yellow is not above 0.
    """

    vram_bytes: Band = (8e9, 10.5e9)
    ram_bytes: Band = (48e9, 60e9)
    temperature_celsius: Band = (70.0, 85.0)

    def __post_init__(self) -> None:
        """Refuse what would leave a gauge without one of its colours."""
        for field in fields(self):
            yellow, red = getattr(self, field.name)
            if not (0 < yellow < red < math.inf):
                raise InputError(
                    f"{field.name} is {yellow:g} to {red:g}: expected two numbers above 0, "
                    "the one for yellow first and a higher one for red."
                )
