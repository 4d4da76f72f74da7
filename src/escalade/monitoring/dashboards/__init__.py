"""Dashboards of Grafana, made from code: node, GPU, service, campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.monitoring.dashboards.campaign import campaign_board
from escalade.monitoring.dashboards.gpu import gpu_board
from escalade.monitoring.dashboards.node import node_board
from escalade.monitoring.dashboards.service import service_board

if TYPE_CHECKING:
    from escalade.monitoring.dashboards.board import Board
    from escalade.monitoring.limits import Bands, Limits
    from escalade.monitoring.service_names import ServiceNames


def boards(limits: Limits, bands: Bands, names: ServiceNames) -> tuple[Board, ...]:
    """Give all dashboards, with marks for steps and for a rate above the threshold.

    Parameters
    ----------
    limits, bands
        What is drawn as a limit, and in which colours.
    names
        What the services call their metrics.
    """
    made = (
        campaign_board(limits, names),
        service_board(limits, names),
        gpu_board(limits, bands),
        node_board(bands),
    )
    for board in made:
        board.mark_steps()
        board.mark_rate(limits, names)
    return made
