"""Clients that leave in the middle of an answer: which requests, and after what.

Who leaves is drawn with the schedule: exactly the share asked for, of the warm-up and of
the window. A request leaves after a number of chunks or at a time, whichever is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AFTER_TOKENS, AFTER_SECONDS = "abandon_tokens", "abandon_seconds"
"""Columns of a schedule."""
STAYS = {AFTER_TOKENS: 0, AFTER_SECONDS: np.inf}
"""What they hold for a request whose client waits for the end."""


class AbandonedError(ConnectionAbortedError):
    """The client left before the end of the answer, as the schedule says."""


def draw_abandonment(
    abandon: Mapping[str, Any], counts: Sequence[int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draw which requests are abandoned.

    Parameters
    ----------
    abandon
        As `check_abandonment` takes it.
    counts
        Numbers of requests that follow each other; of each the share is drawn.

    Returns
    -------
    dict
        A column of the schedule: chunks with tokens after which the client leaves (int32, 0:
        never), or seconds after the planned send (float64, infinite: never).
    """
    leaves = np.concatenate([_chosen(abandon["share"], count, rng) for count in counts])
    if "after_tokens" in abandon:
        return {AFTER_TOKENS: np.where(leaves, abandon["after_tokens"], 0).astype(np.int32)}
    return {AFTER_SECONDS: np.where(leaves, abandon["after_seconds"], np.inf)}


def _chosen(share: float, count: int, rng: np.random.Generator) -> np.ndarray:
    chosen = np.zeros(count, dtype=bool)
    chosen[rng.permutation(count)[: round(share * count)]] = True
    return chosen


def leaving(columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Say of each row whether its client is to leave; None for a schedule without such columns."""
    tokens, seconds = columns.get(AFTER_TOKENS), columns.get(AFTER_SECONDS)
    found = [] if tokens is None else [tokens > 0]
    found += [] if seconds is None else [np.isfinite(seconds)]
    return np.any(found, axis=0) if found else None
