"""What hours cost, as the site file or a campaign says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from escalade.analysis.verdicts.prices import Prices as Judged
from escalade.campaign.bounds import Figure
from escalade.campaign.slurm import Word
from escalade.services.validation import Section


class Prices(Section):
    """What an hour costs, by partition; without a price there is no amount.

    Of a site or a campaign, whose own table takes the place of the site's as a whole. None of it
    changes what is measured, nor the hash of a cell.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """Of all prices, by its code of three letters (ISO 4217)."""
    node_hour: dict[Word, Figure] = Field(default_factory=dict)
    """Of a whole node, by the partition's name; `local` stands for the machine of a campaign without a scheduler."""
    gpu_hour: dict[Word, Figure] = Field(default_factory=dict)
    """Of one GPU, by the partition's name."""

    @property
    def judged(self) -> Judged:
        """As the analysis takes them: without a price there is no currency either."""
        given = bool(self.node_hour or self.gpu_hour)
        return Judged(self.currency if given else "", dict(self.node_hour), dict(self.gpu_hour))
