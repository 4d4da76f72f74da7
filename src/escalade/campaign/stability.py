"""What counts as steady over hours, as a user writes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from escalade.campaign.workload import Seconds
from escalade.services.validation import Section

Growth = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Stability(Section):
    """How much the service's memory and its latency may grow in an hour."""

    least_seconds: Seconds = 3600.0
    """A window that is shorter is never called steady or growing."""
    memory_per_hour: Growth = 0.01
    """Growth of the service's memory that is tolerated, as a share of its level in an hour."""
    latency_per_hour: Growth = 0.05
    """The same of the latency of good answers."""
