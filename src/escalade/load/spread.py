"""Requests in turn over the copies of a service, by the client itself.

No balancer stands between: it would be measured with the service. Which copy a request goes to
follows from the schedule alone, so that it is the same for any number of workers and in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escalade.load.conversation import CONVERSATION

if TYPE_CHECKING:
    from escalade.load.rows import PlannedRows


def spread(rows: PlannedRows, replicas: int) -> np.ndarray:
    """Give the place of the copy that each row goes to, from 0: its number in the step modulo `replicas`.

    The turns of a conversation go where its first one goes.
    """
    number = rows.index
    if (begun := rows.extra.get(CONVERSATION)) is not None:
        number = np.where(begun < 0, number, begun)
    places: np.ndarray = number % replicas
    return places
