"""What the analysis reads: one cell as it was measured, and the objectives it is held to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True)
class CellData:
    """One cell (deployment × repetition), as its files say it.

    Attributes
    ----------
    cell
        Content of cell.json.
    windows
        Content of windows.json: the scrape interval and one outcome per step.
    requests
        requests.parquet: one row per planned request of every step that ran.
    series
        series.parquet: raw samples of every step, not resampled.
    environment
        Content of environment.json.
    calibration
        Content of calibration.json; None for a cell whose client was not calibrated.
    search
        Content of search.json; empty for a ladder.
    bounds
        Content of bounds.json; empty for a cell of an earlier release.
    profile
        profile.parquet: fine readings of the GPUs; None where there are none.
    """

    cell: Mapping[str, Any]
    windows: Mapping[str, Any]
    requests: pd.DataFrame
    series: pd.DataFrame
    environment: Mapping[str, Any]
    calibration: Mapping[str, Any] | None = None
    search: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[str, Any] = field(default_factory=dict)
    profile: pd.DataFrame | None = None

    def at(self, step: int) -> CellData:
        """Give the cell with the requests of one step alone, in the order in which they are stored."""
        if "step" not in self.requests:  # who reads it says so
            return self
        return replace(self, requests=self.requests[self.requests["step"] == step])

    @property
    def name(self) -> str:
        """Name of the cell."""
        return str(self.cell["cell"])

    @property
    def deployment(self) -> str:
        """Name of the deployment that the cell repeats."""
        return str(self.cell["deployment"])

    @property
    def repetition(self) -> int:
        """Number of the repetition, from 1."""
        return int(self.cell["repetition"])

    @property
    def deployed(self) -> Mapping[str, Any]:
        """What the configuration says of the deployment, as the cell was defined; empty when that is not known."""
        definition = self.cell.get("definition") or {}
        found: Mapping[str, Any] = definition.get("deployment") or {}
        return found

    @property
    def replicas(self) -> int:
        """Number of copies of the service."""
        return int(self.deployed.get("replicas", 1))

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        """Outcome of every step, in ascending order of step number."""
        return sorted(self.windows.get("steps", ()), key=lambda outcome: int(outcome["step"]))

    @property
    def scrape_interval_seconds(self) -> float:
        """Time between two scrapes of a target."""
        return float(self.windows.get("scrape_interval_seconds") or 1.0)

    @property
    def monitored(self) -> bool:
        """Whether Prometheus and exporters were to run beside it: `monitoring: off` says that they were not."""
        return self.environment.get("monitoring") != "off"

    @property
    def added_seconds(self) -> float | None:
        """Time that client and network add to an answer, at the median; None when unknown."""
        return (
            None if self.calibration is None else self.calibration["added_seconds"]["p50"]["value"]
        )


@dataclass(frozen=True)
class Slo:
    """A service-level objective: one statistic of one metric stays within a limit.

    Attributes
    ----------
    name
        Name in the verdicts.
    metric
        `latency_seconds`, `ttft_seconds`, `itl_seconds`, `tpot_seconds` or `error_ratio`; with
        `at_least` a rate or `recall_at_k`.
    stat
        `p50`, `p90`, `p95`, `p99`, `mean`; `value` for `error_ratio` and rates.
    limit
        Largest value that is still good, in the metric's unit; with `at_least` the smallest.
    at_qps
        Step where it has to hold; only then does its verdict count for the
        exit code. None: it is judged at every step, for information.
    workload
        Workload of a mix whose requests it judges; None: all of them.
    at_least
        Whether the limit is a lower one.
    of
        Of goodput: name of the objective whose limit makes an answer a good one.
    """

    name: str
    metric: str
    stat: str
    limit: float
    at_qps: float | None = None
    workload: str | None = None
    at_least: bool = False
    of: str | None = None

    def keeps(self, value: float) -> bool:
        """Say whether a value is good; one that is NaN is not."""
        return value >= self.limit if self.at_least else value <= self.limit

    def holds(self, low: float, high: float) -> bool:
        """Say whether a whole interval is good."""
        return self.keeps(low if self.at_least else high)

    def fails(self, low: float, high: float) -> bool:
        """Say whether a whole interval is bad; a bound that is NaN never is."""
        return high < self.limit if self.at_least else low > self.limit

    @property
    def sign(self) -> str:
        """What stands between the value and the limit."""
        return "≥" if self.at_least else "≤"
