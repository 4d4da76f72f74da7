"""Whether each GPU keeps its headroom: judged by its memory, or by the cache of an engine on it.

An engine such as vLLM reserves its share of the memory when it starts, and uses it as it needs: the
driver shows the same figure idle and full. What tells how much such an engine can still take is the
use of its KV cache, which it shows on its page of metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.gpu.placement import Card

HEADROOM = 0.2
"""Share that is to stay free."""
CACHE_USE = (
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "sglang:token_usage",
)
"""Gauges of engines that reserve their memory: share of the KV cache in use, 0 to 1. vLLM renamed
its own; the first that is there counts."""

Outcome = Literal["PASS", "FAIL", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine's page of metrics said.

    Parameters
    ----------
    url
        Of the page.
    gpus
        Names of the GPUs that it reserves memory of; () is all.
    cache_use
        Share of its KV cache in use; None when the page did not say.
    problem
        Why it did not; "" when it did.
    """

    url: str
    gpus: tuple[str, ...] = ()
    cache_use: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A GPU at one moment.

    Parameters
    ----------
    name, total_bytes, used_bytes
        The GPU and its memory.
    free_share
        What is free of what counts, 0 to 1; None when it is not known.
    basis
        What counts: "memory", or "KV cache".
    outcome
        PASS when at least the headroom is free.
    why
        One sentence.
    """

    name: str
    total_bytes: int
    used_bytes: int
    free_share: float | None
    basis: str
    outcome: Outcome
    why: str

    @property
    def free_bytes(self) -> int:
        """Memory that the driver gives to whoever asks next."""
        return self.total_bytes - self.used_bytes


def judge(
    cards: Sequence[Card], engines: Sequence[Engine] = (), headroom: float = HEADROOM
) -> list[Judged]:
    """Judge each GPU at one moment.

    Parameters
    ----------
    cards
        The GPUs as they are.
    engines
        Those that reserve memory: a GPU of theirs is judged by the fullest KV cache on it.
    headroom
        Share that is to be free.
    """
    return [
        _judged(card, [it for it in engines if not it.gpus or card.name in it.gpus], headroom)
        for card in cards
    ]


def cache_use(page: str) -> float | None:
    """Read the use of an engine's KV cache from its page of metrics; of several engines the fullest.

    Returns
    -------
    float or None
        Share in use, 0 to 1; None when the page has none of `CACHE_USE`.

    Raises
    ------
    ValueError
        When it is no page of metrics.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in CACHE_USE:
                found[sample.name] = max(sample.value, found.get(sample.name, 0.0))
    return next((found[name] for name in CACHE_USE if name in found), None)


def least_used(use: Mapping[str, float | None]) -> str | None:
    """Say which model to unload first.

    Parameters
    ----------
    use
        How often each model was asked, by its name, in the order of loading; None where that is
        not known.

    Returns
    -------
    str or None
        The one that was asked least, of several the one loaded last; where one is not known all
        are equal, since a guess could take the busiest away. None when there is no model.
    """
    if not use:
        return None
    names = [*use][::-1]
    known = {name: asked for name, asked in use.items() if asked is not None}
    if len(known) < len(use):
        return names[0]
    return min(names, key=lambda name: known[name])


def _judged(card: Card, engines: Sequence[Engine], headroom: float) -> Judged:
    if not engines:
        free = (card.total_bytes - card.used_bytes) / card.total_bytes
        return _told(card, free, "memory", headroom, f"{free:.1%} of its memory is free")
    silent = [engine for engine in engines if engine.cache_use is None]
    full = max((it.cache_use for it in engines if it.cache_use is not None), default=None)
    if full is not None and 1 - full < headroom:
        why = f"an engine has reserved its memory, and {1 - full:.1%} of its KV cache is free"
        return _told(card, 1 - full, "KV cache", headroom, why)
    if silent or full is None:
        return Judged(
            card.name,
            card.total_bytes,
            card.used_bytes,
            None,
            "KV cache",
            "UNKNOWN",
            f"{silent[0].url}: {silent[0].problem}",
        )
    why = f"an engine has reserved its memory, and {1 - full:.1%} of its KV cache is free"
    return _told(card, 1 - full, "KV cache", headroom, why)


def _told(card: Card, free: float, basis: str, headroom: float, why: str) -> Judged:
    enough = free >= headroom
    sign = ">=" if enough else "<"
    return Judged(
        card.name,
        card.total_bytes,
        card.used_bytes,
        free,
        basis,
        "PASS" if enough else "FAIL",
        f"{why} ({sign} {headroom:.0%})",
    )
