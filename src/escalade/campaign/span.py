"""A ladder between two rates, as a user writes it, and its rungs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from escalade.campaign.presets import window_for
from escalade.campaign.workload import Seconds
from escalade.services.validation import Section

Rate = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
DIGITS = 3
"""Significant digits of a rate, so that a plan can be read."""


class Span(Section):
    """A ladder from one rate to another, evenly spaced on the logarithm; it is written out as `ladder`."""

    lowest_qps: Rate
    """Rate of the first rung."""
    highest_qps: Rate
    """Rate of the last rung."""
    rungs: Annotated[int, Field(ge=2, le=100)] = 5
    """Number of rungs."""
    window_seconds: Seconds = 60.0
    """Length of each window, at least."""
    least_requests: Annotated[int, Field(ge=1, le=50_000_000)] | None = None
    """A window that would hold fewer requests is lengthened until it holds so many."""

    @model_validator(mode="after")
    def _ascends(self) -> Span:
        if self.highest_qps <= self.lowest_qps:
            raise ValueError(
                f"highest_qps {self.highest_qps:g} is not above lowest_qps {self.lowest_qps:g}"
            )
        if len(set(self.rates)) < self.rungs:
            raise ValueError(
                f"{self.rungs} rungs between {self.lowest_qps:g} and {self.highest_qps:g} are the "
                f"same to {DIGITS} digits; lower rungs"
            )
        return self

    @property
    def rates(self) -> list[float]:
        """Rates of the rungs, ascending."""
        ratio = (self.highest_qps / self.lowest_qps) ** (1 / (self.rungs - 1))
        inner = [self.lowest_qps * ratio**place for place in range(1, self.rungs - 1)]
        rounded = [float(f"{rate:.{DIGITS}g}") for rate in inner]
        return [self.lowest_qps, *rounded, self.highest_qps]

    @property
    def ladder(self) -> list[dict[str, float]]:
        """The rungs as a user would write them."""
        return [
            {
                "target_qps": rate,
                "window_seconds": window_for(rate, self.window_seconds, self.least_requests),
            }
            for rate in self.rates
        ]


def laid_out(content: Any) -> Any:
    """Write a load's `span` out as its `ladder`; what is wrong with it is said where it is checked."""
    if not isinstance(content, Mapping) or content.get("span") is None or content.get("ladder"):
        return content
    try:
        span = Span.model_validate(content["span"])
    except ValidationError:
        return content
    return {name: value for name, value in content.items() if name != "span"} | {
        "ladder": span.ladder
    }
