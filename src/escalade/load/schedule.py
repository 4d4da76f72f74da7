"""When each request is to be sent, drawn from a seed before the run.

A phase holds exactly round(rate x duration) arrivals; `arrivals` says where they lie.
A trace is run at the step's rate instead: it keeps its own bursts and pauses.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.errors import InputError
from escalade.load.abandonment import STAYS
from escalade.load.arrivals import Arrivals, Ramp, process_of
from escalade.load.closed import UNPLANNED, check_counts, counts_of, words_of
from escalade.load.conversation import ALONE, CONVERSATION, TURN
from escalade.load.draw import PHASES, draw_step
from escalade.load.drawable import check_abandonment, check_conversation, check_lengths
from escalade.load.mix import COLUMN as WORKLOAD
from escalade.load.mix import check_mix

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from escalade.load.lengths import Lengths

STEPS_KEY = "steps"  # of the frame's attrs, which Parquet keeps beside the columns
COLUMNS = {
    "step": "int16",
    "index": "int32",
    "phase": "str",
    "offset_seconds": "float64",
    "payload_id": "int64",
    "input_tokens": "int32",
    "output_tokens": "int32",
}
OPTIONAL = {
    WORKLOAD: "int16",
    "abandon_tokens": "int32",
    "abandon_seconds": "float64",
    CONVERSATION: "int32",
    TURN: "int16",
    "think_seconds": "float64",
}
"""Columns that only schedules have that need them: the others keep the hash that they had."""
_OTHERWISE = {WORKLOAD: 0, **STAYS, **ALONE}
"""What a row holds where another step needs the column."""


@dataclass(frozen=True)
class StepPlan:
    """One rung of the ladder: a warm-up and a window at the same rate.

    Parameters
    ----------
    step
        1-based number.
    target_qps
        Arrivals per second; None in a closed loop and for samples sent at once.
    warmup_seconds, window_seconds
        Lengths of the two phases; the window follows the warm-up without a gap.
    arrivals
        Kind of the arrival process; see `escalade.load.arrivals`. `trace` takes them from
        a file, and with them whatever else that says of a request. `closed` and `at_once`
        have none; see `escalade.load.closed`.
    input_tokens, output_tokens
        Prompt length asked for (approximate) and tokens to generate, per request; see
        `escalade.load.lengths`.
    parameters
        Of the arrival process; `of_trace` gives those of a trace. Of a closed loop
        `concurrency`, `samples_per_query` and `max_requests`; of samples sent at once `samples`.
    abandon
        Which requests their clients leave; see `escalade.load.abandonment`. {} for none.
    conversation
        How requests go on as conversations; see `escalade.load.conversation`. {} for not at all.
        Arrivals and target_qps are then those of conversations.
    mix
        Workloads that share the requests; see `escalade.load.mix`. Lengths, abandonment
        and conversations are then those of each. () for one workload.

    Raises
    ------
    InputError
        When a value is impossible or the window would hold no request.
    """

    step: int
    target_qps: float | None
    warmup_seconds: float
    window_seconds: float
    arrivals: Arrivals
    input_tokens: Lengths
    output_tokens: Lengths
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    abandon: Mapping[str, Any] = field(default_factory=dict, hash=False)
    mix: Sequence[Mapping[str, Any]] = field(default=(), hash=False)
    conversation: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        wrong = [
            (self.step < 1, "step must be 1 or more"),
            (not self._has_rate(), "target_qps must be above 0"),
            (
                self.arrivals in UNPLANNED and self.has_conversations,
                "conversations begin at a rate, which a closed loop has not",
            ),
            (not _positive(self.window_seconds), "window_seconds must be above 0"),
            (
                not isfinite(self.warmup_seconds) or self.warmup_seconds < 0,
                "warmup_seconds must be 0 or more",
            ),
        ]
        for is_wrong, why in wrong:
            if is_wrong:
                raise InputError(f"Step {self.step} of the ladder: {why}; it is {self}.")
        try:
            if self.arrivals in UNPLANNED:
                check_counts(self.arrivals, self.parameters)
            elif self.arrivals != "trace":
                process_of(self.arrivals, self.parameters)
            check_lengths(self.input_tokens)
            check_lengths(self.output_tokens)
            if self.abandon:
                check_abandonment(self.abandon)
            check_mix(self.mix)
            if self.conversation:
                check_conversation(self.conversation)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"Step {self.step} of the ladder: {error}; it is {self}.") from None
        if self.count("window") == 0:
            raise InputError(
                f"Step {self.step} of the ladder plans no request: {self.target_qps}/s for "
                f"{self.window_seconds} s. Lengthen window_seconds or raise target_qps."
            )

    @property
    def has_conversations(self) -> bool:
        """Whether later turns follow some of the requests."""
        return bool(self.conversation) or any(part.get("conversation") for part in self.mix)

    def _has_rate(self) -> bool:
        if self.arrivals in UNPLANNED:
            return self.target_qps is None
        return self.target_qps is not None and _positive(self.target_qps)

    @property
    def words(self) -> str:
        """What is offered: "5 requests/s", "closed loop, 4 in flight", "100 samples at once"."""
        if self.target_qps is not None:
            return f"{self.target_qps:g} requests/s"
        return words_of(self.arrivals, self.parameters)

    @property
    def facts(self) -> dict[str, Any]:
        """What the outcome of the step says of its load."""
        counts = counts_of(self.arrivals, self.parameters)
        return {"target_qps": self.target_qps, "arrivals": self.arrivals, **counts}

    @property
    def open_ended(self) -> bool:
        """Whether nobody knows beforehand how many of the rows will be sent."""
        return self.arrivals == "closed"

    def planned(self) -> dict[str, int | None]:
        """Give the number of requests of each phase; None where nobody knows it beforehand."""
        return {phase: None if self.open_ended else self.count(phase) for phase in PHASES}

    def bounds(self, phase: str) -> tuple[float, float]:
        """Give [start, end) of a phase, in seconds after the step's epoch."""
        if phase == "warmup":
            return 0.0, self.warmup_seconds
        return self.warmup_seconds, self.warmup_seconds + self.window_seconds

    def count(self, phase: str) -> int:
        """Give the number of rows of a phase: rate x duration, rounded; a trace has its own.

        Of a closed loop it is how many may be sent; all of them count as the window's.
        """
        if self.arrivals == "trace":
            return int(self.parameters["counts"][phase])
        if self.target_qps is None:
            name = "max_requests" if self.open_ended else "samples"
            return int(self.parameters[name]) if phase == "window" else 0
        start, end = self.bounds(phase)
        return round(self.target_qps * self._share_of_rate(phase) * (end - start))

    def _share_of_rate(self, phase: str) -> float:
        """Give the mean rate of a phase over that of the window: a ramp is warmed up at its start."""
        process = process_of(self.arrivals, self.parameters)
        if phase == "warmup" and isinstance(process, Ramp):
            return process.points[0][1] / process.mean
        return 1.0

    def stored(self) -> dict[str, Any]:
        """Give the step as the schedule keeps it."""
        content = asdict(self)
        for name in ("parameters", "abandon", "mix", "conversation"):
            if not content[name]:  # schedules keep the hash that they had before there were any
                del content[name]
        return content


def draw_schedule(steps: Sequence[StepPlan], seed: int) -> pd.DataFrame:
    """Draw the arrivals of all steps of a cell.

    Parameters
    ----------
    steps
        The ladder; step numbers are distinct.
    seed
        0 or more. The same steps and seed give the same frame; a step's draw does
        not depend on the other steps.

    Returns
    -------
    pandas.DataFrame
        One row per request: `step` (int16), `index` (int32, 0-based within the
        step), `phase` ("warmup" or "window"), `offset_seconds` (float64, after the
        step's epoch, ascending; NaN in a closed loop, infinite for later turns of
        conversations), `payload_id` (int64, distinct over the frame unless a
        trace repeats one), `input_tokens`, `output_tokens` (int32); and what not all steps
        need, see `escalade.load.abandonment`. `attrs["steps"]` holds the plans, since no row
        says how long a phase is; Parquet keeps them.

    Raises
    ------
    InputError
        When there is no step, a number repeats, or the seed is negative.
    """
    import pandas as pd  # noqa: PLC0415 - the load generator reads schedules without it

    numbers = [plan.step for plan in steps]
    if not steps or len(set(numbers)) < len(numbers):
        raise InputError(f"The ladder needs steps with distinct numbers; it has {numbers}.")
    if seed < 0:
        raise InputError(f"The seed of the schedule must be 0 or more; it is {seed}.")
    frame = pd.concat([draw_step(plan, seed) for plan in steps], ignore_index=True)
    if "payload_id" not in frame:
        frame["payload_id"] = np.arange(len(frame))
    kinds = COLUMNS | {name: kind for name, kind in OPTIONAL.items() if name in frame}
    frame = frame[list(kinds)].fillna(_OTHERWISE).astype(kinds)
    frame.attrs[STEPS_KEY] = [plan.stored() for plan in steps]
    return frame


def plans_of(frame: pd.DataFrame) -> list[StepPlan]:
    """Give the steps that a schedule was drawn for.

    Raises
    ------
    InputError
        When the frame did not come from `draw_schedule`, or lost its attrs.
    """
    return plans_in(frame.attrs, "The schedule")


def schedule_sha256(frame: pd.DataFrame) -> str:
    """Hash the steps and rows of a schedule, whatever library wrote its file."""
    digest = hashlib.sha256(json.dumps(frame.attrs[STEPS_KEY], sort_keys=True).encode())
    more = {name: kind for name, kind in OPTIONAL.items() if name in frame}
    for name, kind in (COLUMNS | more).items():
        column = frame[name].to_numpy()
        cells = column == "window" if kind == "str" else column.astype(np.dtype(kind))
        digest.update(name.encode() + cells.astype(cells.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def plans_in(attrs: Mapping[Hashable | None, Any], what: str) -> list[StepPlan]:
    """Give the steps that are kept beside a schedule, which `what` names in the error.

    Raises
    ------
    InputError
        When there are none.
    """
    stored = attrs.get(STEPS_KEY)
    if not isinstance(stored, list):
        raise InputError(
            f"{what} does not say how long its phases are. "
            "Draw it with escalade.load.schedule.draw_schedule and write it unchanged."
        )
    return [StepPlan(**plan) for plan in stored]


def _positive(value: float) -> bool:
    return isfinite(value) and value > 0
