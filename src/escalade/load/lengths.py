"""Numbers of tokens: fixed, or drawn for each request from a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    Lengths = int | Mapping[str, Any]

MOST_TOKENS = 1_000_000


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


def check_lengths(lengths: Lengths, most: int = MOST_TOKENS) -> None:
    """Refuse a distribution that can't be drawn from.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    if isinstance(lengths, int):
        _expect(0 <= lengths <= most, "a number of tokens must be 0 or more")
        return
    given = sorted(set(lengths) - {"weights"})
    _expect(len(given) == 1, "expected one of uniform, normal and values")
    if given == ["uniform"]:
        first, last = lengths["uniform"]
        _expect(0 <= first <= last <= most, "uniform: expected [least, most], 0 or more")
    elif given == ["normal"]:
        normal = lengths["normal"]
        inside = 0 <= normal["min"] <= normal["mean"] <= normal["max"] <= most
        _expect(inside, "normal: expected min, mean and max in ascending order, 0 or more")
        _expect(normal["sd"] >= 0, "normal: sd must be 0 or more")
    elif given == ["values"]:
        _check_values(list(lengths["values"]), lengths.get("weights"), most)
    else:
        raise ValueError("expected one of uniform, normal and values")


def _check_values(values: list[int], weights: Any, most: int) -> None:
    _expect(bool(values), "values: expected one number of tokens or more")
    _expect(min(values) >= 0 and max(values) <= most, "values: they must be 0 or more")
    if weights is not None:
        _expect(len(weights) == len(values), "weights: expected as many as there are values")
        _expect(min(weights) >= 0 and sum(weights) > 0, "weights: 0 or more, and not all 0")


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


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(otherwise)
