"""When requests are sent, as a user writes it: arrivals, and the ladder of rates."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from escalade.campaign.workload import Seconds
from escalade.load.arrivals import Arrivals, process_of
from escalade.services.validation import Section

_PLAIN = ("poisson", "constant")
"""Arrivals without parameters."""
_PROCESSES = ("gamma", "bursts", "ramp", "trace")
"""Arrivals with parameters, which stand under a key of the same name."""
CALIBRATION_SECONDS = 3.0


class Step(Section):
    """One rung of the ladder."""

    target_qps: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    """Arrival rate asked for, in requests per second."""
    window_seconds: Seconds
    """Length of the window that counts."""
    warmup_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] | None = None
    """Length of this step's warm-up; the ladder's by default."""


class Gamma(Section):
    """Gaps between arrivals that vary more or less than those of a Poisson process."""

    cv: Annotated[float, Field(ge=0.01, le=100)]
    """Coefficient of variation of the gaps: 1 is Poisson, more is burstier."""


class Bursts(Section):
    """Arrivals that come in bursts, evenly apart; the first one opens the window."""

    period_seconds: Seconds
    """From the start of a burst to that of the next."""
    burst_seconds: Seconds
    """Length of a burst."""
    burst_share: Annotated[float, Field(gt=0, le=1)]
    """Share of all arrivals that fall into the bursts."""


class Ramp(Section):
    """A rate that changes in the course of the window; its mean is the step's target_qps."""

    points: Annotated[tuple[tuple[float, float], ...], Field(min_length=2, max_length=1000)]
    """Pairs [time, rate]: time as a share of the window, from 0 to 1; rates relative to each other."""


class Trace(Section):
    """Arrivals that were recorded."""

    file: str
    """CSV or Parquet with offset_seconds, and payload_id, input_tokens and output_tokens where they are known.
    It is run at each step's target_qps from its first arrival on."""


class Load(Section):
    """The graded arrival rates, run one after the other."""

    arrivals: Arrivals = "poisson"
    """When exactly round(rate × duration) requests are sent: at random times (poisson), evenly (constant), with
    gaps that vary more or less (gamma), in bursts, at a rate that changes (ramp), or as recorded (trace)."""
    gamma: Gamma | None = None
    """With arrivals: gamma."""
    bursts: Bursts | None = None
    """With arrivals: bursts."""
    ramp: Ramp | None = None
    """With arrivals: ramp."""
    trace: Trace | None = None
    """With arrivals: trace."""
    warmup_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] = 5.0
    """Sent at the step's rate before each window, and never part of it."""
    drain_timeout_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] = 30.0
    """How long answers are awaited after the window; what is still out then is an error."""
    cooldown_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] | None = None
    """Pause from a step's drain to the next one's first arrival, at least. One scrape interval by default: a sample
    of the idle service then stands between any two steps, and client and server can be compared step by step."""
    calibration_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = (
        CALIBRATION_SECONDS
    )
    """Before each cell's ladder the client is tried against a null server for so long, at 1.5 times the top rate:
    what is late then is the client's own. 0 leaves it out."""
    ladder: Annotated[tuple[Step, ...], Field(min_length=1, max_length=200)]
    """Steps in ascending order of rate."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the requests of a step, row by row; one sends about 1,000/s on a core of its own."""
    run_as: Literal["step", "job"] = "step"
    """step: the load generator runs in the held allocation. job: the ladder of a cell is a job of its own,
    which Snakemake's executor for Slurm submits; the profile has to name that (executor: slurm)."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in (*_PROCESSES, "cooldown_seconds"):
            if content[name] is None:
                del content[name]
        if self.workers == 1:
            del content["workers"]
        if self.calibration_seconds == CALIBRATION_SECONDS:
            del content["calibration_seconds"]
        if self.run_as == "step":  # cells keep the hash that they had before this key
            del content["run_as"]
        return content

    @property
    def arrival_parameters(self) -> dict[str, Any]:
        """What the arrival process was given, as `escalade.load.arrivals` takes it."""
        section = getattr(self, self.arrivals, None)
        return {} if section is None else section.model_dump(mode="json")

    @model_validator(mode="after")
    def _process(self) -> Load:
        given = [name for name in _PROCESSES if getattr(self, name)]
        wanted = [self.arrivals] if self.arrivals not in _PLAIN else []
        if given != wanted:
            missing = sorted(set(wanted) - set(given))
            raise ValueError(
                f"arrivals is {self.arrivals}, which needs lines `{self.arrivals}:` with its parameters"
                if missing
                else f"{given[0]} is given, but arrivals is {self.arrivals}; write arrivals: {given[0]}"
            )
        if self.arrivals != "trace":
            try:
                process_of(self.arrivals, self.arrival_parameters)
            except ValueError as error:
                raise ValueError(f"{self.arrivals}: {error}") from None
        return self

    @model_validator(mode="after")
    def _ascending(self) -> Load:
        rates = [step.target_qps for step in self.ladder]
        if any(later <= earlier for earlier, later in pairwise(rates)):
            raise ValueError(f"the ladder's target_qps must ascend, but they are {rates}")
        for number, step in enumerate(self.ladder, start=1):
            if round(step.target_qps * step.window_seconds) < 1:
                raise ValueError(
                    f"step {number} plans no request: {step.target_qps} requests/s for "
                    f"{step.window_seconds} s; lengthen window_seconds"
                )
        return self
