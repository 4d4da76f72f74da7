"""When requests are sent, as a user writes it: arrivals, and the ladder."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from escalade.campaign.scenarios import LEVELS, check_ladder, check_rung, written_out
from escalade.campaign.search import Search
from escalade.campaign.span import Span, laid_out
from escalade.campaign.workload import Seconds
from escalade.load.arrivals import Arrivals, process_of
from escalade.load.closed import UNPLANNED, rows_for
from escalade.services.validation import Section

_PLAIN = ("poisson", "constant", *UNPLANNED)
"""Arrivals without parameters."""
_PROCESSES = ("gamma", "bursts", "ramp", "trace")
"""Arrivals with parameters, which stand under a key of the same name."""
CALIBRATION_SECONDS = 3.0


def _window_may_be_left_out(schema: dict[str, Any]) -> None:
    """Ask for a rung's window only where no suite gives one: for samples; else see the campaign."""
    schema["required"].remove("window_seconds")
    if not schema["required"]:
        del schema["required"]
    samples = {"required": ["samples"], "properties": {"samples": {"type": "integer"}}}
    schema |= {"if": samples, "then": {"required": ["window_seconds"]}}


class Step(Section):
    """One rung of the ladder: exactly one of target_qps, concurrency and samples, and a window."""

    model_config = ConfigDict(json_schema_extra=_window_may_be_left_out)

    target_qps: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    """Arrival rate asked for, in requests per second."""
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """With arrivals: closed. Queries in flight: the next one is sent when one has ended."""
    samples: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """With arrivals: at_once. Requests that are sent together."""
    max_requests: Annotated[int, Field(ge=1, le=50_000_000)] | None = None
    """With concurrency: how many requests are drawn beforehand; a step that uses them up is INVALID. By default
    enough for 2,000/s of each worker, up to 200,000."""
    window_seconds: Seconds
    """Length of the window that counts; of samples sent at once, how long they may take at most. A suite gives
    one where it is left out, but not to samples."""
    warmup_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] | None = None
    """Length of this step's warm-up; the ladder's by default."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in (*LEVELS, "max_requests"):  # cells keep the hash that they had before these
            if content.get(name) is None:
                content.pop(name, None)
        return content

    @model_validator(mode="after")
    def _one_level(self) -> Step:
        check_rung(vars(self))
        return self


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
    """The graded loads, run one after the other."""

    scenario: Literal["single_stream", "multi_stream", "server", "offline"] | None = None
    """One of MLPerf's ways of sending, as a preset: single_stream (one query in flight), multi_stream (one query of
    eight samples in flight), server (Poisson arrivals), offline (all samples at once). The settings below then
    follow from it."""
    arrivals: Arrivals = "poisson"
    """When exactly round(rate × duration) requests are sent: at random times (poisson), evenly (constant), with
    gaps that vary more or less (gamma), in bursts, at a rate that changes (ramp), or as recorded (trace).
    Without a rate: each when an earlier one has ended (closed), or all together (at_once)."""
    gamma: Gamma | None = None
    """With arrivals: gamma."""
    bursts: Bursts | None = None
    """With arrivals: bursts."""
    ramp: Ramp | None = None
    """With arrivals: ramp."""
    trace: Trace | None = None
    """With arrivals: trace."""
    samples_per_query: Annotated[int, Field(ge=1, le=10_000)] = 1
    """With arrivals: closed. Requests that are sent together as one query; the next one follows when all have ended."""
    warmup_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] = 5.0
    """Sent as in the window before it, and never part of it. Samples sent at once have none."""
    drain_timeout_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] = 30.0
    """How long answers are awaited after the window; what is still out then is an error. Samples sent at once
    have the window itself for that."""
    cooldown_seconds: Annotated[float, Field(ge=0, le=24 * 3600, allow_inf_nan=False)] | None = None
    """Pause from a step's drain to the next one's first arrival, at least. One scrape interval by default: a sample
    of the idle service then stands between any two steps, and client and server can be compared step by step."""
    calibration_seconds: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = (
        CALIBRATION_SECONDS
    )
    """Before each cell's ladder the client is tried against a null server for so long, at 1.5 times the top rate:
    what is late then is the client's own. 0 leaves it out, and so does a load without a rate."""
    ladder: Annotated[tuple[Step, ...], Field(min_length=1, max_length=200)] = ()
    """Steps in ascending order of rate, concurrency or number of samples. Either this or `search` is given."""
    span: Span | None = None
    """The ladder by its ends and the number of its rungs, instead of rung by rung; it is written out as `ladder`."""
    search: Search | None = None
    """Find the highest rate at which the objectives hold, instead of measuring given rates."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the requests of a step, row by row; one sends about 1,000/s on a core of its own."""
    run_as: Literal["step", "job"] = "step"
    """step: the load generator runs in the held allocation. job: the ladder of a cell is a job of its own,
    which Snakemake's executor for Slurm submits; the profile has to name that (executor: slurm)."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in (*_PROCESSES, "cooldown_seconds", "scenario", "span"):
            if content[name] is None:
                del content[name]
        if self.samples_per_query == 1:
            del content["samples_per_query"]
        if self.workers == 1:
            del content["workers"]
        if self.calibration_seconds == CALIBRATION_SECONDS:
            del content["calibration_seconds"]
        for name in ("ladder", "search"):
            if not content[name]:
                del content[name]
        if self.run_as == "step":  # cells keep the hash that they had before this key
            del content["run_as"]
        return content

    @property
    def calibrated_seconds(self) -> float:
        """How long the client is tried; a load without a rate has no top rate to try it at."""
        return 0.0 if self.arrivals in UNPLANNED else self.calibration_seconds

    def parameters_of(self, step: Step, seconds: float) -> dict[str, Any]:
        """Give what the load of a step is made with, as `escalade.load.schedule` takes it.

        `seconds` is how long the step lasts.
        """
        if step.samples is not None:
            return {"samples": step.samples}
        if step.concurrency is None:
            return self.arrival_parameters
        together = self.samples_per_query
        likely = rows_for(step.concurrency, together, seconds, self.workers)
        return {
            "concurrency": step.concurrency,
            "samples_per_query": together,
            "max_requests": step.max_requests or likely,
        }

    @property
    def arrival_parameters(self) -> dict[str, Any]:
        """What the arrival process was given, as `escalade.load.arrivals` takes it."""
        section = getattr(self, self.arrivals, None)
        return {} if section is None else section.model_dump(mode="json")

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, content: Any) -> Any:
        return written_out(laid_out(content))

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
        if self.arrivals not in ("trace", *UNPLANNED):
            try:
                process_of(self.arrivals, self.arrival_parameters)
            except ValueError as error:
                raise ValueError(f"{self.arrivals}: {error}") from None
        return self

    @model_validator(mode="after")
    def _ladder_or_search(self) -> Load:
        if self.span is not None:  # it would have been written out
            raise ValueError("span and ladder both say what is measured; leave one of them out")
        if bool(self.ladder) == (self.search is not None):
            both = "both are given" if self.ladder else "neither is given"
            raise ValueError(
                f"either a ladder of rates or a search says what is measured, and {both}"
            )
        return self

    @model_validator(mode="after")
    def _ascending(self) -> Load:
        rungs = [vars(step) for step in self.ladder]
        check_ladder(self.arrivals, rungs, self.samples_per_query, self.workers)
        for number, step in enumerate(self.ladder, start=1):
            if step.target_qps is not None and round(step.target_qps * step.window_seconds) < 1:
                raise ValueError(
                    f"step {number} plans no request: {step.target_qps} requests/s for "
                    f"{step.window_seconds} s; lengthen window_seconds"
                )
        return self
