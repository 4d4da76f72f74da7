"""Continuous batching: how long the steps of a model take that decodes many sequences together."""

from __future__ import annotations

from dataclasses import dataclass


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
