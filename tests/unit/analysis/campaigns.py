"""Campaigns as tables: KPI rows, gates and verdicts written down, to be changed one by one.

The campaign is fine as it begins: three repetitions of a ladder whose service
carries ten requests per second on two cores, 0.19 CPU seconds for each request.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.capacity.bottleneck import bottlenecks
from escalade.analysis.capacity.capacity import deployment_capacity, ladder_capacity
from escalade.analysis.gates.gate import CLIENT, Gate
from escalade.analysis.kpis.catalogue import BY_NAME
from escalade.analysis.kpis.readings import COLUMNS
from escalade.analysis.measured.cell import CellData, Slo
from unit.analysis.builders import EPOCH, requests_frame, series_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OFFERED = (2.0, 5.0, 8.0, 9.5, 14.0)
CAPACITY = 10.0
CORES = 2
DEMAND = 0.19
SECONDS = 600.0
SLO = Slo("fast", "latency_seconds", "p90", 1.5, at_qps=8.0)
GATES = (
    *sorted(CLIENT - {"turnaround"}),
    *("started_idle", "scrape_coverage", "scrape_gap", "client_server_agreement", "neighbours"),
)
STATE = ("drained", "steal", "constant_rate", "over_saturation", "sample_floor", "steadiness")
NO_REQUEST, NO_SERIES = requests_frame([]), series_frame([])
Place = tuple[int, int]
"""Repetition and step."""


@dataclass
class Made:
    """A campaign whose every figure can be set.

    Attributes
    ----------
    offered
        Rates of the ladder, by step from 1.
    figures
        (repetition, step) → (metric, stat, label) → value with bounds and n.
    gates
        (repetition, step) → gate.
    """

    offered: Sequence[float] = OFFERED
    repetitions: int = 3
    seconds: float = SECONDS
    figures: dict[Place, dict[tuple[str, str, str], dict[str, float]]] = field(default_factory=dict)
    gates: dict[Place, dict[str, Gate]] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    definition: dict[str, Any] = field(default_factory=dict)
    samples: list[tuple[int, str, Mapping[str, str], float, float]] = field(default_factory=list)
    slos: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[Place, dict[str, Any]] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    closed: bool = False

    @property
    def steps(self) -> range:
        return range(1, len(self.offered) + 1)

    @property
    def runs(self) -> range:
        return range(1, self.repetitions + 1)

    def put(
        self,
        metric: str,
        value: float | Callable[[int], float],
        stat: str = "value",
        *,
        steps: Sequence[int] | None = None,
        runs: Sequence[int] | None = None,
        label: str = "",
        spread: float = 0.05,
        n: int = 1000,
    ) -> Made:
        """Set a figure, with an interval of ± `spread`, at some steps and repetitions (all by default)."""
        for run in runs or self.runs:
            for step in steps or self.steps:
                found = value(step) if callable(value) else value
                bounds = {"ci_low": found * (1 - spread), "ci_high": found * (1 + spread), "n": n}
                self.figures.setdefault((run, step), {})[metric, stat, label] = {
                    "value": found,
                    **bounds,
                }
        return self

    def drop(self, *metrics: str) -> Made:
        """Take metrics away from all steps."""
        for place, rows in self.figures.items():
            self.figures[place] = {key: row for key, row in rows.items() if key[0] not in metrics}
        return self

    def fail(
        self,
        name: str,
        *,
        steps: Sequence[int] | None = None,
        runs: Sequence[int] | None = None,
        value: float | None = None,
        outcome: Any = "fail",
        detail: str = "as told",
    ) -> Made:
        """Let a gate fail at some steps and repetitions (all by default)."""
        for run in runs or self.runs:
            for step in steps or self.steps:
                hard = name in GATES
                gate = Gate(name, outcome, detail, value, None, "ratio", invalidates=hard)
                self.gates.setdefault((run, step), {})[name] = gate
        return self

    def judge(
        self,
        verdict: str,
        *,
        reason: str = "as told",
        value: float = 1.0,
        step: int = 3,
        **more: Any,
    ) -> Made:
        """Give the objective a verdict over the repetitions."""
        row = {
            "cell": None if self.repetitions > 2 else self.name(1),
            "deployment": "demo",
            "step": step,
            "target_qps": self.offered[step - 1],
            "slo": "fast",
            "metric": "latency_seconds",
            "stat": "p90",
            "limit": 1.5,
            "unit": "s",
            "value": value,
            "ci_low": value,
            "ci_high": value,
            "n": 3,
            "verdict": verdict,
            "reason": reason,
            "counts": True,
        }
        self.slos.append(row | more)
        return self

    def name(self, run: int) -> str:
        return f"demo_rep-{run}_0badcafe"

    @property
    def kpis(self) -> pd.DataFrame:
        rows = [
            self._row(place, key, numbers)
            for place, found in self.figures.items()
            for key, numbers in found.items()
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"step": "int64", "n": "int64"})

    def _row(
        self, place: Place, key: tuple[str, str, str], numbers: Mapping[str, float]
    ) -> dict[str, Any]:
        run, step = place
        metric, stat, label = key
        known = BY_NAME[metric]
        return {
            "cell": self.name(run),
            "deployment": "demo",
            "repetition": run,
            "step": step,
            "target_qps": self.offered[step - 1] if step else math.nan,
            "metric": metric,
            "stat": stat,
            "unit": known.unit,
            "ci_method": "",
            "n_eff": 1.0,
            "source": f"{known.source}{label}",
            "quality": "ok",
            **numbers,
        }

    @property
    def cells(self) -> list[CellData]:
        return [self._cell(run) for run in self.runs]

    def _cell(self, run: int) -> CellData:
        outcomes = [self._outcome(run, step) for step in self.steps]
        rows = [
            {
                "step": step,
                "metric": metric,
                "timestamp": outcomes[step - 1]["window_start"] + at,
                "labels": json.dumps(dict(labels), sort_keys=True),
                "value": value,
            }
            for step, metric, labels, at, value in self.samples
        ]
        return CellData(
            cell={
                "cell": self.name(run),
                "deployment": "demo",
                "repetition": run,
                "outcome": "failed" if self.failed else "finished",
                "cause": self.failed or None,
                "definition": self.definition,
            },
            windows={"scrape_interval_seconds": 1.0, "steps": outcomes},
            requests=NO_REQUEST,
            series=series_frame(rows) if rows else NO_SERIES,
            environment=self.environment,
        )

    def _outcome(self, run: int, step: int) -> dict[str, Any]:
        start = EPOCH + 1000.0 * step
        level = {"target_qps": self.offered[step - 1]}
        if self.closed:
            level = {"target_qps": None, "concurrency": self.offered[step - 1]}
        return {
            "step": step,
            **level,
            "arrivals": "poisson",
            "outcome": "measured",
            "cause": None,
            "window_start": start,
            "window_end": start + self.seconds,
            "drained": True,
            **self.outcomes.get((run, step), {}),
        }

    @property
    def gate_rows(self) -> list[dict[str, Any]]:
        return [
            gate.row(self.name(run), step)
            for (run, step), gates in sorted(self.gates.items())
            for gate in gates.values()
        ]

    @property
    def verdicts(self) -> dict[str, Any]:
        return self.judged(self.kpis, self.cells)

    def judged(self, kpis: pd.DataFrame, cells: Sequence[CellData]) -> dict[str, Any]:
        """Give gates, objectives as set, capacity and bottlenecks."""
        gates = self.gate_rows
        fits = [
            ladder_capacity(
                kpis[kpis["cell"] == self.name(run)],
                [gate for gate in gates if gate["cell"] == self.name(run)],
                [],
            )
            for run in self.runs
        ]
        joint = [deployment_capacity(fits, [])] if self.repetitions > 2 else []
        capacity = [*fits, *joint]
        return {
            "schema": 1,
            "note": None if joint else "this run only",
            "exploratory": False,
            "gates": gates,
            "slos": self.slos,
            "capacity": capacity,
            "bottlenecks": bottlenecks(kpis, cells, gates, capacity),
            **self.sections,
        }


def fine(
    repetitions: int = 3,
    offered: Sequence[float] = OFFERED,
    capacity: float = CAPACITY,
    *,
    demand: float = DEMAND,
    judged: bool = True,
) -> Made:
    """Give a campaign in which nothing is amiss: the last rung alone lies beyond the capacity."""
    made = Made(offered, repetitions)
    made.environment = {
        "allocation": {"service_cpus": [1, 2], "client_cpus": [0], "launcher": "local"},
        "gpus": [],
        "node": {"memory_bytes": 16_000_000_000},
        "service": {"recipe": "truth_server", "parameters": {"slots": 16}},
        "metric_names": {"requests_running": "running", "queue_length": "waiting"},
    }
    rate = dict(enumerate(offered, start=1))

    def carried(step: int) -> float:
        return min(rate[step], capacity)

    def load(step: int) -> float:
        return carried(step) / capacity

    made.put("offered_qps", lambda step: rate[step])
    made.put("arrival_rate_qps", lambda step: rate[step])
    made.put("throughput_qps", carried, n=6000)
    made.put("error_ratio", 0.0)
    for stat, times in (("p50", 0.8), ("p90", 1.6), ("mean", 1.0)):
        made.put("latency_seconds", lambda step, k=times: 0.3 * k / (1.1 - load(step)), stat)
        made.put("ttft_seconds", lambda step, k=times: 0.15 * k / (1.1 - load(step)), stat)
    made.put("output_tokens", 32.0, "mean").put("input_tokens", 64.0, "mean")
    made.put("cached_token_ratio", 0.0)
    made.put("requests_in_flight", lambda step: 10 * load(step), "mean")
    made.put("requests_running", lambda step: 9 * load(step), "mean")
    made.put("queue_length", lambda step: 0.0 if rate[step] <= capacity else 40.0, "mean")
    made.put("queue_length", lambda step: 0.0 if rate[step] <= capacity else 80.0, "max")
    made.put("service_cpu_cores", lambda step: demand * carried(step), "mean")
    made.put("service_cpu_cores", lambda step: 1.05 * demand * carried(step), "max")
    made.put("service_memory_bytes", 1e9, "mean").put("service_memory_bytes", 1.1e9, "max")
    made.put("node_memory_used_bytes", 2e9, "max")
    made.put("client_cpu_ratio", 0.1).put("steal_ratio", 0.001)
    made.put("requests_in_system", lambda step: 10 * load(step), "mean")
    for name in (*GATES, *STATE):
        made.fail(name, outcome="pass", value=1.0 if name == "steadiness" else 0.0)
    beyond = [step for step in made.steps if rate[step] > capacity]
    if beyond:
        made.fail("over_saturation", steps=beyond, value=0.7)
    return made.judge("PASS", step=min(3, len(offered))) if judged else made
