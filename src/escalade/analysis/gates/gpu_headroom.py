"""Whether the GPUs kept a fifth of their memory free, or of the KV cache where an engine has it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.gates.gate import Gate, passed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.gates.gate import Found

HEADROOM = 0.2
"""Share that is to be free."""
_NAME = "gpu_headroom"
_USED = "gpu_memory_used_bytes"


def gpu_headroom(found: Found) -> Gate | None:
    """Check the GPUs of a step; None for a cell without any.

    An engine that reserves its memory shows the same use idle and full: where the service tells the
    use of its KV cache, that is judged.
    """
    gpus = found.step.data.environment.get("gpus")
    if not gpus:
        return None
    if (cache := found.worst("kv_cache_usage_ratio", "max", max)) is not None:
        return _judged(1 - cache[0], "the KV cache of the engine was free at its fullest")
    free = _least_free(found, gpus)
    if free is None:
        detail = f"the memory of the GPUs is not known: {found.quality(_USED, 'max')}"
        return Gate(_NAME, "unknown", detail, None, HEADROOM, "ratio")
    return _judged(free, "the memory of the fullest GPU was free at its fullest")


def _judged(free: float, what: str) -> Gate:
    detail = f"{100 * free:.1f} % of {what}; {100 * HEADROOM:g} % are wanted"
    return Gate(_NAME, passed(free >= HEADROOM), detail, free, HEADROOM, "ratio")


def _least_free(found: Found, gpus: Sequence[Mapping[str, object]]) -> float | None:
    """Give the smallest share of its memory that a GPU had free; None when one is not known."""
    shares = []
    for gpu in gpus:
        used = found.worst(_USED, "max", max, only=f'uuid="{gpu.get("uuid")}"')
        size = gpu.get("memory_total_bytes")
        if used is None or not isinstance(size, int | float) or size <= 0:
            return None
        shares.append((size - used[0]) / size)
    return min(shares)
