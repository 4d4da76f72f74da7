"""A stand-in for torch with PyTorch's caching allocator, after what its documentation and source say of it.

Large blocks only, one stream: best fit, blocks cut where more than a mebibyte is left, neighbours
joined again, whole idle segments given back when the device has no more, `max_split_size_mb`.
"""

from __future__ import annotations

import bisect
import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024**2
SMALL, MIN_LARGE, LARGE_BUFFER, ROUND = MIB, 10 * MIB, 20 * MIB, 2 * MIB


class OutOfMemorySimulatedError(Exception):
    """As `torch.cuda.OutOfMemoryError`."""


class Block:
    """A piece of a segment; its neighbours are pieces of the same one."""

    _numbers = itertools.count()

    def __init__(self, size: int) -> None:
        self.size = size
        self.number = next(self._numbers)
        self.before: Block | None = None
        self.after: Block | None = None

    @property
    def split(self) -> bool:
        """Whether there are other pieces in its segment."""
        return self.before is not None or self.after is not None


class Held:
    """What a tensor is: its memory is free again when nobody holds it."""

    def __init__(self, allocator: CachingAllocator, block: Block) -> None:
        self._allocator, self._block = allocator, block

    @property
    def size(self) -> int:
        """Bytes that it has, rounded up."""
        return self._block.size

    def __del__(self) -> None:
        self._allocator.free(self._block)


class CachingAllocator:
    """Memory of one device, and as much of the module `torch` as a sampler asks.

    Parameters
    ----------
    total
        Bytes of the device.
    max_split
        `max_split_size_mb`, in bytes; without it every block may be cut.
    """

    def __init__(self, total: int, max_split: int | None = None) -> None:
        self.total, self.reserved, self.active = total, 0, 0
        self.retries = self.ooms = 0
        self.truth = {"fragmentation": 0, "capacity": 0, "retry": 0}
        self._max_split = max_split or 2**62
        self._idle: list[tuple[int, int, Block]] = []  # by size, of equals the oldest first
        self.observers: list[Callable[[int, int, int, int], None]] = []
        self._C = SimpleNamespace(_cuda_attach_out_of_memory_observer=self.observers.append)
        self.cuda = SimpleNamespace(
            is_initialized=lambda: True,
            get_allocator_backend=lambda: "native",
            device_count=lambda: 1,
            memory_stats=lambda _: self.statistics(),
            get_device_properties=lambda _: SimpleNamespace(uuid="0"),
        )

    def statistics(self) -> dict[str, int]:
        """Give those of torch.cuda.memory_stats that a sampler reads, by their documented keys."""
        pieces = sum(block.size for _, _, block in self._idle if block.split)
        return {
            "active_bytes.all.current": self.active,
            "inactive_split_bytes.all.current": pieces,
            "num_alloc_retries": self.retries,
            "num_ooms": self.ooms,
            "reserved_bytes.all.current": self.reserved,
        }

    def allocate(self, asked: int) -> Held:
        """Give memory; raises `OutOfMemorySimulatedError` after it tried again."""
        size = -(-asked // 512) * 512
        whole = LARGE_BUFFER if size < MIN_LARGE else -(-size // ROUND) * ROUND
        block = self._cached(size) or self._segment(whole)
        if block is None:
            enough = self.reserved - self.active + self.total - self.reserved >= whole
            self._give_back()
            self.retries += 1
            block = self._segment(whole)
            if block is None:
                self.ooms += 1
                self.truth["fragmentation" if enough else "capacity"] += 1
                for tell in self.observers:
                    tell(0, whole, self.total, self.total - self.reserved)
                raise OutOfMemorySimulatedError
            self.truth["retry"] += 1
        self._cut(block, size)
        self.active += block.size
        return Held(self, block)

    def _cached(self, size: int) -> Block | None:
        place = bisect.bisect_left(self._idle, (size, 0))
        if place == len(self._idle):
            return None
        block = self._idle[place][2]
        if size < self._max_split <= block.size:
            return None  # such a block is kept whole for what is as large
        if size >= self._max_split and block.size >= size + LARGE_BUFFER:
            return None
        del self._idle[place]
        return block

    def _segment(self, whole: int) -> Block | None:
        if self.reserved + whole > self.total:
            return None
        self.reserved += whole
        return Block(whole)

    def _cut(self, block: Block, size: int) -> None:
        if size >= self._max_split or block.size - size <= SMALL:
            return
        rest = Block(block.size - size)
        rest.before, rest.after = block, block.after
        if rest.after is not None:
            rest.after.before = rest
        block.size, block.after = size, rest
        self._keep(rest)

    def _keep(self, block: Block) -> None:
        bisect.insort(self._idle, (block.size, block.number, block))

    def _take(self, block: Block) -> bool:
        place = bisect.bisect_left(self._idle, (block.size, block.number))
        if place == len(self._idle) or self._idle[place][2] is not block:
            return False
        del self._idle[place]
        return True

    def _give_back(self) -> None:
        self.reserved -= sum(block.size for _, _, block in self._idle if not block.split)
        self._idle = [each for each in self._idle if each[2].split]

    def free(self, block: Block) -> None:
        """Take memory back, and join it with its idle neighbours."""
        self.active -= block.size
        if (after := block.after) is not None and self._take(after):
            block.size += after.size
            block.after = after.after
            if after.after is not None:
                after.after.before = block
        if (before := block.before) is not None and self._take(before):
            before.size += block.size
            before.after = block.after
            if block.after is not None:
                block.after.before = before
            block = before
        self._keep(block)
