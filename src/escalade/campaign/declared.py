"""What is declared about comparisons before anything is measured: the primary KPIs and the threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from escalade.analysis.compare.primary import CAPACITIES, MOST, family_of
from escalade.services.validation import Section

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign


class Comparison(Section):
    """How the campaign is compared with others."""

    primary: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST)] = ()
    """KPIs that decide, at most three: METRIC:STATISTIC@LEVEL, as in latency_seconds:p90@4 (level: the rate,
    concurrency or number of samples of a step), or capacity_qps, slo_capacity_qps, ready_seconds. All others are
    compared too, and called exploratory. By default they are chosen from the objectives."""
    threshold_percent: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] | None = None
    """Practical margin: smaller changes don't count. By default 5; --threshold wins."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_declared(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {name: value for name, value in content.items() if value not in (None, (), [])}

    @model_validator(mode="after")
    def _declares_something(self) -> Comparison:
        if not self.primary and self.threshold_percent is None:
            raise ValueError("it declares nothing: give primary, threshold_percent, or both")
        return self

    @field_validator("primary")
    @classmethod
    def _readable(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each.words for each in family_of(texts))


def check_comparison(campaign: Campaign) -> None:
    """Insist on primary KPIs of steps that the campaign has.

    Raises
    ------
    ValueError
        When one names a level that no step has, or none where there are several.
    """
    if campaign.comparison is None:
        return
    levels = [
        float(level)
        for step in campaign.load.ladder
        for level in (step.target_qps, step.concurrency, step.samples)
        if level is not None
    ]
    for each in family_of(campaign.comparison.primary):
        if each.per_cell:
            continue
        if not levels:
            raise ValueError(
                f"comparison.primary has {each.words}, and the rates of a search differ from run to "
                f"run: only figures of the whole can be compared, as {' and '.join(CAPACITIES)}"
            )
        if math.isnan(each.level) and len(levels) > 1:
            raise ValueError(
                f"comparison.primary has {each.words}, which {len(levels)} steps have; say which, as in "
                f"{each.words}@{levels[0]:g}"
            )
        if not math.isnan(each.level) and each.level not in levels:
            raise ValueError(
                f"comparison.primary has {each.words}, and the ladder has no step at {each.level:g}: "
                f"{', '.join(f'{level:g}' for level in levels)}"
            )
