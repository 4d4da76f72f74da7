"""How much memory models take: of the GPU by its driver, or of the host by their processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from escalade.gpu.cards import live_cards
from escalade.services.processes import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence


class Meter(Protocol):
    """Measures the memory that all loaded models take together."""

    method: str
    """What is measured, in words."""
    gpu: str | None
    """Index of the GPU whose memory it is; None of the host."""

    def taken_bytes(self, pids: Sequence[int]) -> int:
        """Measure now; `pids` are the first processes of what is loaded."""
        ...


class GpuMeter:
    """Memory of one GPU in use, above what was in use before the first model.

    What other programs take or free meanwhile is in it: a driver tells memory by process only
    where it shares the processes' namespace.

    Parameters
    ----------
    name
        Its index.

    Raises
    ------
    InfrastructureError
        When there is no such GPU, or its memory can't be read.
    """

    def __init__(self, name: str) -> None:
        self.gpu: str | None = name
        self._before = self._used()
        self.method = f"memory of GPU {name} in use, above what was before (NVML)"

    def taken_bytes(self, pids: Sequence[int]) -> int:  # noqa: ARG002 - the driver knows
        """Measure now."""
        return self._used() - self._before

    def _used(self) -> int:
        return next(card.used_bytes for card in live_cards() if card.name == self.gpu)


class ResidentMeter:
    """Resident memory of the models' processes; pages that several share count in each."""

    method = "resident memory of the servers' processes"
    gpu: str | None = None

    def taken_bytes(self, pids: Sequence[int]) -> int:
        """Measure now."""
        return sum(resident_bytes(pid) or 0 for pid in pids)
