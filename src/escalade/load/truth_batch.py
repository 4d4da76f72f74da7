"""Continuous batching: a model that decodes many sequences together, step by step."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from escalade.load.truth_clock import AsyncTimer
    from escalade.load.truth_counts import Counts

_STOOD_STILL = 0.1  # seconds that a step may be late and make up for; more is time lost


@dataclass(frozen=True)
class BatchRules:
    """What a step of decoding takes, and how many sequences share it.

    A sequence waits for the next step at whose beginning fewer than `sequences` are active.
    Its prompt is read in that step, at whose end its first token comes; each further step
    gives it one more, and with its last token it leaves.

    Parameters
    ----------
    sequences
        Most sequences that decode together; 1 or more.
    step_seconds
        What every step takes, whatever it holds.
    sequence_seconds
        What each active sequence adds to a step.
    prefill_seconds
        What each token of a prompt adds to the step that reads it.
    """

    sequences: int
    step_seconds: float
    sequence_seconds: float = 0.0
    prefill_seconds: float = 0.0

    def duration(self, active: int, prompt_tokens: int) -> float:
        """Give the length of a step with `active` sequences that reads `prompt_tokens`, in seconds."""
        return (
            self.step_seconds
            + active * self.sequence_seconds
            + prompt_tokens * self.prefill_seconds
        )

    def capacity_qps(self, input_tokens: float, output_tokens: float) -> float:
        """Give the rate at which a server that never runs dry finishes sequences, in 1/s.

        Parameters
        ----------
        input_tokens, output_tokens
            Their means. A sequence takes part in as many steps as it has output tokens, so
            a full step finishes `sequences` / `output_tokens` and reads as many prompts.
        """
        finished = self.sequences / output_tokens
        return finished / (
            self.duration(self.sequences, 0) + finished * input_tokens * self.prefill_seconds
        )


@dataclass(eq=False)
class _Sequence:
    """One answer in the making: tokens of the prompt to read, tokens left, and when they came."""

    read: int
    left: float
    times: asyncio.Queue[float] = field(default_factory=asyncio.Queue)


class Batch:
    """Decodes by `BatchRules`; made inside a running asyncio loop.

    A step begins when the one before was due to end, so that the time that it takes to send
    tokens makes no step longer, as long as it fits in.

    Parameters
    ----------
    rules
        What steps take.
    timer
        Wakes it.
    counts
        Told how many sequences wait and how many are active.
    """

    def __init__(self, rules: BatchRules, timer: AsyncTimer, counts: Counts) -> None:
        self._rules = rules
        self._timer = timer
        self._counts = counts
        self._waiting: deque[_Sequence] = deque()
        self._active: list[_Sequence] = []
        self._decoding: asyncio.Task[None] | None = None

    async def tokens(self, prompt_tokens: int, count: float) -> AsyncGenerator[float]:
        """Yield the time of each of `count` tokens, as it comes; a caller that leaves frees its place."""
        mine = _Sequence(prompt_tokens, count)
        self._waiting.append(mine)
        self._counts.deferred += 1
        if self._decoding is None or self._decoding.done():
            self._decoding = asyncio.create_task(self._decode())
        try:
            came = 0
            while came < count:
                yield await mine.times.get()
                came += 1
        finally:
            self._leave(mine)

    def _leave(self, sequence: _Sequence) -> None:
        with suppress(ValueError):
            self._waiting.remove(sequence)
            self._counts.deferred -= 1
        with suppress(ValueError):
            self._active.remove(sequence)
            self._counts.processing -= 1

    async def _decode(self) -> None:
        end = time.monotonic()
        while self._waiting or self._active:
            read = self._admit()
            end = max(end, time.monotonic() - _STOOD_STILL)
            end += self._rules.duration(len(self._active), read)
            await self._timer.sleep_until(end)
            at = time.monotonic()
            for sequence in list(self._active):
                sequence.times.put_nowait(at)
                sequence.left -= 1
                if sequence.left <= 0:
                    self._leave(sequence)
            await asyncio.sleep(0)  # those who got a token send it, and who waited has come

    def _admit(self) -> int:
        """Take sequences that wait while there is room; give the tokens of their prompts."""
        read = 0
        while self._waiting and len(self._active) < self._rules.sequences:
            sequence = self._waiting.popleft()
            self._active.append(sequence)
            self._counts.deferred -= 1
            self._counts.processing += 1
            read += sequence.read
        return read
