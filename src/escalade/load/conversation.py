"""Conversations of several turns: how many each has, and how long is thought before each.

Both are drawn with the schedule. The first turn of a conversation is an arrival like any
other; a later one has a row of its own, whose time is known only when the turn before it has
ended: it comes a think time after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.load.lengths import draw_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping

    Columns = dict[str, np.ndarray]

CONVERSATION, TURN, THINK = "conversation", "turn", "think_seconds"
"""Columns of a schedule."""
ALONE = {CONVERSATION: -1, TURN: 0, THINK: 0.0}
"""What they hold for a request of no conversation."""
LATER = np.inf
"""Planned offset of a later turn: known when the turn before it has ended."""
MOST_TURNS = 1000


def with_turns(
    columns: Columns, mine: np.ndarray, asked: Mapping[str, Any], seed: list[int]
) -> Columns:
    """Make arrivals the first turns of conversations, and add the rows of the later ones.

    Parameters
    ----------
    columns
        Of a step, one row for each arrival, with `index` as the place of the row.
    mine
        Which of them begin a conversation.
    asked
        `conversation`, as `check_conversation` takes it, and `input_tokens` and
        `output_tokens`, from which the later turns' are drawn.
    seed
        What all draws begin from; each has a stream of its own.

    Returns
    -------
    dict
        The same columns and those of conversations; later turns follow all others,
        conversation by conversation, with the offset `LATER`.
    """
    conversation = asked["conversation"]
    begins = np.flatnonzero(mine)
    streams = [np.random.default_rng([*seed, stream]) for stream in range(4)]
    scripts = conversation.get("scripts")
    if scripts is None:
        turns = np.clip(draw_lengths(conversation["turns"], len(begins), streams[0]), 1, MOST_TURNS)
        script = None
    else:
        script = _in_order(len(scripts), len(begins), streams[0])
        turns = np.asarray(scripts)[script]
    count = len(columns["index"])
    source = np.repeat(begins, turns - 1)  # the first turn of each later one
    later = {name: values[source] for name, values in columns.items()}
    later["index"] = count + np.arange(len(source))
    later["offset_seconds"] = np.full(len(source), LATER)
    for name, rng in zip(("input_tokens", "output_tokens"), streams[1:3], strict=True):
        later[name] = draw_lengths(asked[name], len(source), rng)
    whole = {
        name: np.concatenate([values, later[name].astype(values.dtype)])
        for name, values in columns.items()
    }
    for name, otherwise in ALONE.items():
        whole.setdefault(name, np.full(count, otherwise))
        missing = count + len(source) - len(whole[name])
        whole[name] = np.concatenate([whole[name], np.full(missing, otherwise)])
    whole[CONVERSATION][begins] = columns["index"][begins]
    whole[CONVERSATION][count:] = columns["index"][source]
    whole[TURN][begins] = 1
    whole[TURN][count:] = np.concatenate([np.arange(2, n + 1) for n in turns] or [np.empty(0)])
    whole[THINK][count:] = _think(conversation["think_seconds"], len(source), streams[3])
    if script is not None:
        whole.setdefault("payload_id", np.arange(count + len(source)))
        whole["payload_id"][begins] = script
        whole["payload_id"][count:] = np.repeat(script, turns - 1)
    return whole


def _in_order(scripts: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take every script once before one is taken again, each time round in another order."""
    rounds = [rng.permutation(scripts) for _ in range(-(-count // scripts))]
    return np.concatenate([*rounds, np.empty(0, dtype=int)])[:count].astype(int)


def _think(think: Any, count: int, rng: np.random.Generator) -> np.ndarray:
    if isinstance(think, (int, float)):
        return np.full(count, float(think))
    if "uniform" in think:
        least, most = think["uniform"]
        return rng.uniform(least, most, count)
    if "exponential" in think:
        return rng.exponential(think["exponential"], count)
    return rng.choice(np.asarray(think["values"], dtype=float), count)
