"""What a gate is, and what gates look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.kpis.steps import MeasuredStep

CLIENT = frozenset(
    {
        *("late_ratio", "arrival_rate", "gap_cv", "client_backlog", "client_cpu"),
        *("client_suspended", "turnaround"),
    }
)
"""Gates that the load generator fails, not the service: such a step is `client_limited`."""
ADVICE = "raise load.workers, or give the client cores of its own"
Outcome = Literal["pass", "fail", "unknown", "not applicable"]


@dataclass(frozen=True)
class Gate:
    """One gate of one step.

    Attributes
    ----------
    name
        Name of the gate.
    outcome
        "pass", "fail", "unknown", or "not applicable" to this kind of load.
    detail
        One sentence.
    value, limit
        What was found and what is allowed; None where there is no number.
    unit
        Unit of both.
    invalidates
        Whether a failure makes the step INVALID; otherwise it flags it.
    """

    name: str
    outcome: Outcome
    detail: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    invalidates: bool = False

    def row(self, cell: str, step: int) -> dict[str, Any]:
        """Make a row of verdicts.json; a value that JSON can't hold becomes None."""
        return {
            "cell": cell,
            "step": step,
            "gate": self.name,
            "value": finite(self.value),
            "limit": finite(self.limit),
            "unit": self.unit,
            "outcome": self.outcome,
            "detail": self.detail,
            "invalidates": self.invalidates,
        }


def passed(good: bool) -> Outcome:  # noqa: FBT001 - it turns a truth into a word
    """Give "pass" or "fail"."""
    return "pass" if good else "fail"


def not_applicable(name: str, why: str) -> Gate:
    """Give a gate that says nothing of this kind of load, neither good nor bad."""
    return Gate(name, "not applicable", why)


def at_most(value: float | None, limit: float) -> Outcome:
    """Compare with an upper limit; without a value the outcome is unknown."""
    return "unknown" if value is None else passed(value <= limit)


@dataclass(frozen=True)
class Found:
    """A measured step with its KPI rows."""

    step: MeasuredStep
    kpis: pd.DataFrame

    def value(self, metric: str, stat: str = "value") -> float | None:
        """Give the value of a metric that has one row, None when it is missing."""
        known = self._known(metric, stat)
        return next(iter(known.values()), None)

    def quality(self, metric: str, stat: str = "value") -> str:
        """Give the quality of a metric that has one row, which says why it is missing."""
        rows = self.kpis[(self.kpis["metric"] == metric) & (self.kpis["stat"] == stat)]
        return str(rows["quality"].iloc[0]) if len(rows) else "missing: not computed"

    def worst(
        self,
        metric: str,
        stat: str,
        choose: Callable[[Sequence[float]], float],
        *,
        only: str = "",
        but: str | None = None,
    ) -> tuple[float, str] | None:
        """Give the worst value over the rows of a metric, and the source that names the row.

        `only` and `but` are parts of the sources that count, and of those that don't.
        """
        known = {
            source: value
            for source, value in self._known(metric, stat).items()
            if only in source and (but is None or but not in source)
        }
        if not known:
            return None
        worst = choose(list(known.values()))
        return worst, next(source for source, value in known.items() if value == worst)

    def _known(self, metric: str, stat: str) -> dict[str, float]:
        rows = self.kpis[(self.kpis["metric"] == metric) & (self.kpis["stat"] == stat)]
        pairs = zip(rows["source"], rows["value"], strict=True)
        return {str(source): float(value) for source, value in pairs if math.isfinite(value)}


def left_out(gates: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Give the steps that are no point of a ladder, each with the gate that says why.

    They have no constant rate, or they are invalid: then it is the first gate that failed.
    """
    first: dict[int, Mapping[str, Any]] = {}
    for gate in gates:
        if gate["outcome"] == "fail" and gate["gate"] == "constant_rate":
            first[int(gate["step"])] = gate
        elif gate["outcome"] == "fail" and gate["invalidates"]:
            first.setdefault(int(gate["step"]), gate)
    return first


def why_invalid(gate: Mapping[str, Any]) -> str:
    """Say which gate made a step INVALID, and what to change where the client was the limit."""
    name, detail = str(gate["gate"]), str(gate["detail"])
    if name not in CLIENT:
        return f"gate {name}: {detail}"
    advice = "" if ADVICE.split(",", maxsplit=1)[0] in detail else f"; {ADVICE}"
    return f"client_limited, gate {name}: {detail}{advice}"


def two_digits(number: float) -> str:
    """Write a number with two digits and without an exponent: 5.5, 47, 100."""
    return f"{float(f'{number:.2g}'):g}"
