"""The memory that a service takes: of the GPUs where it has some, else of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from escalade.gpu.cards import bytes_in_use
from escalade.services.processes import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.launcher import Launcher
    from escalade.services.replicas import Share

Of = Literal["gpu", "host"]
CONTEXT_BYTES = 64 * 2**20
"""A rise that is smaller is not the service's: a CUDA context alone takes more."""


class Memory:
    """Measures what a start takes: made before it, asked once the service is ready.

    On GPUs it is by how much their memory in use rose, what other programs did meanwhile included; on
    the host it is the resident memory of the service's processes.

    Parameters
    ----------
    launcher, allocation
        Where the service runs.
    shares
        What each copy gets.
    """

    def __init__(
        self, launcher: Launcher, allocation: AllocationState, shares: Sequence[Share]
    ) -> None:
        self._launcher = launcher
        self._allocation = allocation
        self._shares = list(shares)
        self._before = [self._in_use(share) for share in self._shares]
        self.of: Of = "host"
        """Whose memory was measured."""

    def taken(self, pids: Sequence[int | None]) -> list[int | None]:
        """Measure what each copy takes; None where it can't be told.

        Parameters
        ----------
        pids
            First process of each copy, in the order of the shares.
        """
        rises = [
            None if before is None or after is None else after - before
            for before, after in zip(
                self._before, [self._in_use(share) for share in self._shares], strict=True
            )
        ]
        if any(rise is not None and rise >= CONTEXT_BYTES for rise in rises):
            self.of = "gpu"
            return [
                rise if self._alone(share) else None
                for rise, share in zip(rises, self._shares, strict=True)
            ]
        return [
            self._launcher.call(self._allocation, share.place, resident_bytes, pid)
            for share, pid in zip(self._shares, pids, strict=True)
        ]

    def _in_use(self, share: Share) -> int | None:
        if self._allocation.job is not None and not share.gpu_count:
            return None  # a job without GPUs: a step to look for some would cost a second
        names = None if share.gpus is None else list(share.gpus)
        return self._launcher.call(self._allocation, share.place, bytes_in_use, names)

    def _alone(self, share: Share) -> bool:
        """Tell whether no other copy sees the same GPUs: what they took together is nobody's own."""
        return not any(
            other is not share
            and other.place.node == share.place.node
            and (other.gpus is None or share.gpus is None or set(other.gpus) & set(share.gpus))
            for other in self._shares
        )
