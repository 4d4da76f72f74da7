"""Several workloads in one step: which of them each request is.

That is drawn with the schedule: of the warm-up and of the window each workload gets its
share as exactly as whole numbers allow, at places that chance decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.load.abandonment import STAYS, draw_abandonment
from escalade.load.drawable import check_abandonment, check_conversation, check_lengths
from escalade.load.lengths import draw_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Mix = Sequence[Mapping[str, Any]]

COLUMN = "workload"
"""Column of a schedule: the place of a request's workload in the mix (int16)."""


def check_mix(mix: Mix) -> None:
    """Refuse a mix that can't be drawn.

    Parameters
    ----------
    mix
        For each workload its `name`, its `share` relative to the others, `input_tokens` and
        `output_tokens`, `abandon` where clients leave, and `conversation` where they go on.

    Raises
    ------
    ValueError
        Saying what was expected.
    """
    names = [part["name"] for part in mix]
    if len(set(names)) < len(names):
        raise ValueError(f"mix: workloads have to differ in name; they are {', '.join(names)}")
    for part in mix:
        if not part["share"] > 0:
            raise ValueError("mix: share must be above 0")
        check_lengths(part["input_tokens"])
        check_lengths(part["output_tokens"])
        if part.get("abandon"):
            check_abandonment(part["abandon"])
        if part.get("conversation"):
            check_conversation(part["conversation"])


def draw_mix(mix: Mix, counts: Sequence[int], seed: Sequence[int]) -> dict[str, np.ndarray]:
    """Draw workloads, lengths and abandonments of requests.

    Parameters
    ----------
    mix
        As `check_mix` takes it.
    counts
        Numbers of requests that follow each other; the shares are those of each.
    seed
        What all draws begin from; each has a stream of its own.

    Returns
    -------
    dict
        Columns of the schedule.
    """
    rng = np.random.default_rng([*seed, 0])
    stretches = [rng.permutation(_places(mix, count)) for count in counts]
    workload = np.concatenate(stretches)
    columns: dict[str, np.ndarray] = {COLUMN: workload.astype(np.int16)}
    for place, part in enumerate(mix):
        mine = workload == place
        own = {
            name: draw_lengths(
                part[name], int(mine.sum()), np.random.default_rng([*seed, at, place])
            )
            for at, name in enumerate(("input_tokens", "output_tokens"), start=1)
        }
        if part.get("abandon"):
            of_each = [int((stretch == place).sum()) for stretch in stretches]
            rng = np.random.default_rng([*seed, 3, place])
            own |= draw_abandonment(part["abandon"], of_each, rng)
        for name, values in own.items():
            otherwise = STAYS.get(name, 0)
            columns.setdefault(name, np.full(len(workload), otherwise, dtype=values.dtype))
            columns[name][mine] = values
    return columns


def _places(mix: Mix, count: int) -> np.ndarray:
    """Give each workload its share of `count` requests, the largest remainders rounded up."""
    shares = np.array([part["share"] for part in mix], dtype=float)
    wanted = shares / shares.sum() * count
    numbers = np.floor(wanted).astype(int)
    rest = np.argsort(numbers - wanted, kind="stable")[: count - int(numbers.sum())]
    numbers[rest] += 1
    return np.repeat(np.arange(len(mix)), numbers)
