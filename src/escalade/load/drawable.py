"""What can be drawn of requests: lengths, conversations, abandonment; the rest is refused.

Imports no numerical library: a configuration is checked here, long before anything is drawn.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TOKENS = 1_000_000


def check_abandonment(abandon: Mapping[str, Any]) -> None:
    """Refuse an abandonment that can't be drawn.

    Parameters
    ----------
    abandon
        `share` of the requests, and one of `after_tokens` and `after_seconds`.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    if not 0 < abandon["share"] <= 1:
        raise ValueError("abandon: share must be above 0, and 1 at most")
    given = sorted(set(abandon) - {"share"})
    if given not in (["after_tokens"], ["after_seconds"]):
        raise ValueError("abandon: expected one of after_tokens and after_seconds")
    after = abandon[given[0]]
    if not (isfinite(after) and after > 0):
        raise ValueError(f"abandon: {given[0]} must be above 0")


def check_conversation(conversation: Mapping[str, Any]) -> None:
    """Refuse conversations that can't be drawn.

    Parameters
    ----------
    conversation
        `turns`, as `escalade.load.lengths` takes it, or `scripts`, the number of turns of each
        script of which they are taken in a seeded order; and `think_seconds`, a number or a
        mapping with one of `uniform` ([least, most]), `exponential` (the mean) and `values`.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    if ("turns" in conversation) == ("scripts" in conversation):
        raise ValueError("conversation: expected turns, or prompts that are scripts")
    if "turns" in conversation:
        check_lengths(conversation["turns"])
    elif min(conversation["scripts"], default=0) < 1:
        raise ValueError("conversation: a script has one turn or more")
    think = conversation["think_seconds"]
    if isinstance(think, (int, float)):
        think = {"values": [think]}
    if len(think) != 1 or not set(think) <= {"uniform", "exponential", "values"}:
        raise ValueError("think_seconds: expected one of uniform, exponential and values")
    ((kind, given),) = think.items()
    numbers = [given] if kind == "exponential" else list(given)
    if not numbers or not all(isfinite(number) and number >= 0 for number in numbers):
        raise ValueError(f"think_seconds: {kind} takes numbers of seconds, 0 or more")
    if kind == "uniform" and not (len(numbers) == 2 and numbers[0] <= numbers[1]):
        raise ValueError("think_seconds: uniform takes [least, most]")


def check_lengths(lengths: int | Mapping[str, Any], most: int = MOST_TOKENS) -> None:
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


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ValueError(otherwise)
