"""What a paired campaign asks, as the analysis takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.scenarios.pairs import Question
from escalade.campaign.design import PAIRED, settings_of

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign


def question_of(campaign: Campaign) -> Question | None:
    """Give the question of a paired campaign; None of any other.

    The deployment that is listed first is the baseline; where one alone has no monitoring, it is
    that one, so that the answer is what monitoring adds.
    """
    if campaign.design != PAIRED:
        return None
    asked = settings_of(campaign)
    first, second = sorted(campaign.deployments, key=lambda deployment: deployment.monitoring)
    return Question(
        baseline=first.name,
        candidate=second.name,
        primary=tuple((kpi.metric, kpi.stat) for kpi in asked.primary),
        step=asked.step or 1,
        margin=asked.margin_percent / 100,
        counts=asked.counts,
    )
