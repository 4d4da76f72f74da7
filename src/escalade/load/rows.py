"""The rows of one step of a stored schedule, as the load generator reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from escalade.errors import InputError
from escalade.load.abandonment import AFTER_TOKENS, leaving
from escalade.load.conversation import CONVERSATION, TURN
from escalade.load.mix import COLUMN as WORKLOAD
from escalade.load.schedule import COLUMNS, OPTIONAL, plans_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from escalade.load.schedule import StepPlan

_PANDAS_ATTRS = b"PANDAS_ATTRS"


@dataclass(frozen=True)
class PlannedRows:
    """The rows of one step as columns, in order of `index`.

    Parameters
    ----------
    plan
        The step they belong to.
    offset_seconds
        Planned send times after the step's epoch (float64, ascending); NaN in a closed loop,
        infinite for later turns of conversations, which come last.
    in_window
        Whether the row, or its conversation's first one, belongs to the window (bool), else
        to the warm-up.
    payload_id, input_tokens, output_tokens
        What to send (int64, int32, int32).
    index
        Their places among all rows of the step (int32).
    extra
        Columns that not every schedule has, by name.
    """

    plan: StepPlan
    offset_seconds: np.ndarray
    in_window: np.ndarray
    payload_id: np.ndarray
    input_tokens: np.ndarray
    output_tokens: np.ndarray
    index: np.ndarray
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offset_seconds)

    @property
    def turn(self) -> np.ndarray | None:
        """Number of each row's turn in its conversation, 0 without; None where there are none."""
        return self.extra.get(TURN)

    @property
    def part_of(self) -> np.ndarray:
        """Place of each row's workload in the mix; 0 where there is one workload."""
        return self.extra.get(WORKLOAD, np.zeros(len(self), dtype=np.int16))

    @property
    def workload(self) -> np.ndarray | None:
        """Name of each row's workload; None where there is no mix."""
        names = np.array([part["name"] for part in self.plan.mix])
        return names[self.part_of] if len(names) else None

    @property
    def leaves_after(self) -> np.ndarray:
        """Chunks after which each row's client goes away; 0: never."""
        return self.extra.get(AFTER_TOKENS, np.zeros(len(self), dtype=np.int32))

    @property
    def leaving(self) -> np.ndarray | None:
        """Whether each row's client is to leave before the end; None where none ever does."""
        return leaving(self.extra)

    def first(self, count: int) -> PlannedRows:
        """Give so many rows, from the first on."""
        return self._only(np.arange(len(self)) < count)

    def part(self, worker: int, workers: int) -> PlannedRows:
        """Give every `workers`-th row, from row `worker` on: what one of several workers sends.

        What is sent together as one query stays together, and a conversation's later turns
        go where its first one goes.
        """
        together = int(self.plan.parameters.get("samples_per_query", 1))
        groups = np.arange(len(self)) // together
        if CONVERSATION in self.extra:
            begun = self.extra[CONVERSATION]
            groups = np.where(begun < 0, self.index, begun)
        return self._only(groups % workers == worker)

    def _only(self, mine: np.ndarray) -> PlannedRows:
        columns = {
            each.name: getattr(self, each.name)[mine]
            for each in fields(self)
            if each.name not in ("plan", "extra")
        }
        extra = {name: values[mine] for name, values in self.extra.items()}
        return PlannedRows(self.plan, **columns, extra=extra)


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
            there = [name for name in OPTIONAL if name in file.schema_arrow.names]
            table = file.read(columns=[*COLUMNS, *there])
    except FileNotFoundError:
        raise InputError(f"Schedule: {path} does not exist.") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"Schedule: {path} can't be read ({error}).") from error
    if missing := set(COLUMNS) - set(table.column_names):
        raise InputError(
            f"Schedule: {path} can't be read (no column {', '.join(sorted(missing))})."
        )
    attrs = json.loads((table.schema.metadata or {}).get(_PANDAS_ATTRS, b"{}"))
    plans = {plan.step: plan for plan in plans_in(attrs, f"Schedule: {path}")}
    if step not in plans:
        raise InputError(f"Schedule: {path} has no step {step}; it has {sorted(plans)}.")
    phase = np.array(table.column("phase").to_pylist())
    # through DLPack, since to_numpy imports pandas as well
    numbers = [name for name in table.column_names if name != "phase"]
    whole = {name: _column(table, name) for name in numbers}
    mine = whole["step"] == step
    column = {name: values[mine] for name, values in whole.items()}
    return PlannedRows(
        plan=plans[step],
        offset_seconds=column["offset_seconds"],
        in_window=phase[mine] == "window",
        payload_id=column["payload_id"],
        input_tokens=column["input_tokens"],
        output_tokens=column["output_tokens"],
        index=column["index"],
        extra={name: column[name] for name in there},
    )


def _column(table: pa.Table, name: str) -> np.ndarray:
    column = table.column(name).combine_chunks()
    if column.null_count:  # how pandas writes the times of a closed loop
        column = column.fill_null(nan)
    found: np.ndarray = np.from_dlpack(column)
    return found
