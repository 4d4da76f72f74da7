"""When each request is to be sent, drawn from a seed before the run.

A phase holds exactly round(rate x duration) arrivals. For `poisson` they are the
order statistics of uniform draws: a Poisson process given its number of arrivals.
An unconditioned one misses the target rate by up to 13 % in a 10 s step at 5/s.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

Arrivals = Literal["poisson", "constant"]
PHASES = ("warmup", "window")
STEPS_KEY = "steps"  # of the frame's attrs, which Parquet keeps beside the columns
_COLUMNS = {
    "step": "int16",
    "index": "int32",
    "phase": "str",
    "offset_seconds": "float64",
    "payload_id": "int64",
    "input_tokens": "int32",
    "output_tokens": "int32",
}
_PANDAS_ATTRS = b"PANDAS_ATTRS"


@dataclass(frozen=True)
class StepPlan:
    """One rung of the ladder: a warm-up and a window at the same rate.

    Parameters
    ----------
    step
        1-based number.
    target_qps
        Arrivals per second.
    warmup_seconds, window_seconds
        Lengths of the two phases; the window follows the warm-up without a gap.
    arrivals
        `poisson`, or `constant` for even gaps.
    input_tokens, output_tokens
        Prompt length asked for (approximate) and tokens to generate, per request.

    Raises
    ------
    InputError
        When a value is impossible or the window would hold no request.
    """

    step: int
    target_qps: float
    warmup_seconds: float
    window_seconds: float
    arrivals: Arrivals
    input_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        wrong = [
            (self.step < 1, "step must be 1 or more"),
            (not _positive(self.target_qps), "target_qps must be above 0"),
            (not _positive(self.window_seconds), "window_seconds must be above 0"),
            (
                not isfinite(self.warmup_seconds) or self.warmup_seconds < 0,
                "warmup_seconds must be 0 or more",
            ),
            (
                self.arrivals not in get_args(Arrivals),
                f"arrivals must be one of {', '.join(get_args(Arrivals))}",
            ),
            (min(self.input_tokens, self.output_tokens) < 0, "token counts must be 0 or more"),
        ]
        for is_wrong, why in wrong:
            if is_wrong:
                raise InputError(f"Step {self.step} of the ladder: {why}; it is {self}.")
        if self.count("window") == 0:
            raise InputError(
                f"Step {self.step} of the ladder plans no request: {self.target_qps}/s for "
                f"{self.window_seconds} s. Lengthen window_seconds or raise target_qps."
            )

    def bounds(self, phase: str) -> tuple[float, float]:
        """Give [start, end) of a phase, in seconds after the step's epoch."""
        if phase == "warmup":
            return 0.0, self.warmup_seconds
        return self.warmup_seconds, self.warmup_seconds + self.window_seconds

    def count(self, phase: str) -> int:
        """Give the number of arrivals of a phase: rate x duration, rounded."""
        start, end = self.bounds(phase)
        return round(self.target_qps * (end - start))


@dataclass(frozen=True)
class PlannedRows:
    """The rows of one step as columns, in order of `index`.

    Parameters
    ----------
    plan
        The step they belong to.
    offset_seconds
        Planned send times after the step's epoch (float64, ascending).
    in_window
        Whether the row belongs to the window (bool), else to the warm-up.
    payload_id, input_tokens, output_tokens
        What to send (int64, int32, int32).
    """

    plan: StepPlan
    offset_seconds: np.ndarray
    in_window: np.ndarray
    payload_id: np.ndarray
    input_tokens: np.ndarray
    output_tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.offset_seconds)


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
        step's epoch, ascending), `payload_id` (int64, distinct over the frame),
        `input_tokens`, `output_tokens` (int32). `attrs["steps"]` holds the plans,
        since no row says how long a phase is; Parquet keeps them.

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
    frame = pd.concat([_draw_step(plan, seed) for plan in steps], ignore_index=True)
    frame["payload_id"] = np.arange(len(frame))
    frame = frame[list(_COLUMNS)].astype(_COLUMNS)
    frame.attrs[STEPS_KEY] = [asdict(plan) for plan in steps]
    return frame


def plans_of(frame: pd.DataFrame) -> list[StepPlan]:
    """Give the steps that a schedule was drawn for.

    Raises
    ------
    InputError
        When the frame did not come from `draw_schedule`, or lost its attrs.
    """
    return _plans(frame.attrs, "The schedule")


def schedule_sha256(frame: pd.DataFrame) -> str:
    """Hash the steps and rows of a schedule, whatever library wrote its file."""
    digest = hashlib.sha256(json.dumps(frame.attrs[STEPS_KEY], sort_keys=True).encode())
    for name, kind in _COLUMNS.items():
        column = frame[name].to_numpy()
        cells = column == "window" if kind == "str" else column.astype(np.dtype(kind))
        digest.update(name.encode() + cells.astype(cells.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def read_rows(path: Path, step: int) -> PlannedRows:
    """Read the rows of one step from a stored schedule.

    Raises
    ------
    InputError
        When the file is missing, damaged, lacks a column, or has no such step.
    """
    import pyarrow as pa  # noqa: PLC0415 - the same
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:  # read_table would import pandas, half a second a step
            table = file.read(columns=list(_COLUMNS))
    except FileNotFoundError:
        raise InputError(f"Schedule: {path} does not exist.") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"Schedule: {path} can't be read ({error}).") from error
    if missing := set(_COLUMNS) - set(table.column_names):
        raise InputError(
            f"Schedule: {path} can't be read (no column {', '.join(sorted(missing))})."
        )
    attrs = json.loads((table.schema.metadata or {}).get(_PANDAS_ATTRS, b"{}"))
    plans = {plan.step: plan for plan in _plans(attrs, f"Schedule: {path}")}
    if step not in plans:
        raise InputError(f"Schedule: {path} has no step {step}; it has {sorted(plans)}.")
    phase = np.array(table.column("phase").to_pylist())
    # through DLPack, since to_numpy imports pandas as well
    numbers = [name for name in _COLUMNS if name != "phase"]
    whole = {name: np.from_dlpack(table.column(name).combine_chunks()) for name in numbers}
    mine = whole["step"] == step
    column = {name: values[mine] for name, values in whole.items()}
    return PlannedRows(
        plan=plans[step],
        offset_seconds=column["offset_seconds"],
        in_window=phase[mine] == "window",
        payload_id=column["payload_id"],
        input_tokens=column["input_tokens"],
        output_tokens=column["output_tokens"],
    )


def _draw_step(plan: StepPlan, seed: int) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    offsets = [_draw_phase(plan, phase, seed) for phase in PHASES]
    counts = [len(drawn) for drawn in offsets]
    return pd.DataFrame(
        {
            "step": plan.step,
            "index": np.arange(sum(counts)),
            "phase": np.repeat(PHASES, counts),
            "offset_seconds": np.concatenate(offsets),
            "input_tokens": plan.input_tokens,
            "output_tokens": plan.output_tokens,
        }
    )


def _draw_phase(plan: StepPlan, phase: str, seed: int) -> np.ndarray:
    start, end = plan.bounds(phase)
    count = plan.count(phase)
    if plan.arrivals == "constant":
        place = np.arange(count) / max(count, 1)
    else:
        place = np.sort(np.random.default_rng([seed, plan.step, PHASES.index(phase)]).random(count))
    # Rounding may carry the last arrival onto the end, which belongs to the next phase.
    return np.minimum(start + (end - start) * place, np.nextafter(end, start))


def _plans(attrs: Mapping[Hashable | None, Any], what: str) -> list[StepPlan]:
    stored = attrs.get(STEPS_KEY)
    if not isinstance(stored, list):
        raise InputError(
            f"{what} does not say how long its phases are. "
            "Draw it with escalade.load.schedule.draw_schedule and write it unchanged."
        )
    return [StepPlan(**plan) for plan in stored]


def _positive(value: float) -> bool:
    return isfinite(value) and value > 0
