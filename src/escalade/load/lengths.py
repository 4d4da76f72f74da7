"""Numbers of tokens: fixed, or drawn for each request from a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    Lengths = int | Mapping[str, Any]


def draw_lengths(lengths: Lengths, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the lengths of `count` requests.

    Parameters
    ----------
    lengths
        A whole number, the same for all; or a mapping with one of `uniform` (`[least,
        most]`, both included), `normal` (`mean` and `sd`, rounded, and set to `min` or `max`
        where it lies beyond them), and `values` (drawn with replacement, with `weights`
        where some are to come more often).

    Returns
    -------
    numpy.ndarray
        Whole numbers, 0 or more (int32).
    """
    drawn = np.full(count, lengths) if isinstance(lengths, int) else _draw(lengths, count, rng)
    return drawn.astype(np.int32)


def _draw(lengths: Mapping[str, Any], count: int, rng: np.random.Generator) -> np.ndarray:
    if "uniform" in lengths:
        least, most = lengths["uniform"]
        return rng.integers(least, most, count, endpoint=True)
    if "normal" in lengths:
        normal = lengths["normal"]
        drawn = np.rint(rng.normal(normal["mean"], normal["sd"], count))
        return np.clip(drawn, normal["min"], normal["max"])
    weights = lengths.get("weights")
    shares = None if weights is None else np.asarray(weights, dtype=float) / sum(weights)
    return rng.choice(np.asarray(lengths["values"]), count, p=shares)
