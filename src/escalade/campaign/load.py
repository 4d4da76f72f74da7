"""What is sent and when, as a user writes it: workload, arrivals, and the ladder of rates."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from escalade.load.arrivals import Arrivals, process_of
from escalade.load.lengths import check_lengths
from escalade.services.validation import Section

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600, allow_inf_nan=False)]
_PLAIN = ("poisson", "constant")
"""Arrivals without parameters."""
_PROCESSES = ("gamma", "bursts", "ramp", "trace")
"""Arrivals with parameters, which stand under a key of the same name."""
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
CALIBRATION_SECONDS = 3.0


class Normal(Section):
    """A normal distribution, rounded; what lies beyond its ends is set to them."""

    mean: Annotated[float, Field(ge=1, le=1_000_000)]
    """Mean."""
    sd: Annotated[float, Field(ge=0, le=1_000_000)]
    """Standard deviation."""
    min: Tokens = 1
    """Smallest length."""
    max: Tokens = 1_000_000
    """Largest length."""


class Lengths(Section):
    """How many tokens: one of `fixed`, `uniform`, `normal` and `values`; a plain number means `fixed`."""

    fixed: Tokens | None = None
    """The same for all requests."""
    uniform: tuple[Tokens, Tokens] | None = None
    """[least, most], both included."""
    normal: Normal | None = None
    """Around a mean."""
    values: Annotated[tuple[Tokens, ...], Field(min_length=1)] | None = None
    """Drawn from these, as often as they stand there or by `weights`."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """With `values`: how often each is to come, relative to the others."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say that a plain number will do."""
        return {"anyOf": [{"type": "integer", "minimum": 1}, handler(core)]}

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, content: Any) -> Any:
        return content if isinstance(content, (dict, Lengths)) else {"fixed": content}

    @model_serializer(mode="plain")
    def _as_written(self) -> int | dict[str, Any]:
        return self.drawn

    @property
    def drawn(self) -> int | dict[str, Any]:
        """The distribution as `escalade.load.lengths` takes it."""
        if self.fixed is not None:
            return self.fixed
        given = {"uniform": self.uniform, "values": self.values, "weights": self.weights}
        content: dict[str, Any] = {name: list(of) for name, of in given.items() if of is not None}
        return content | ({"normal": self.normal.model_dump()} if self.normal else {})

    @model_validator(mode="after")
    def _one(self) -> Lengths:
        if self.fixed is not None and (self.uniform or self.normal or self.values or self.weights):
            raise ValueError("fixed goes with nothing else")
        check_lengths(self.drawn)
        return self


class SharedPrefix(Section):
    """Beginnings that prompts share."""

    tokens: Tokens
    """Approximate length of a beginning; it comes before the prompt's own."""
    groups: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many different beginnings there are; requests take them in turn."""


class Workload(Section):
    """What one request is."""

    kind: str = "openai_chat"
    """openai_chat, openai_completions, openai_embeddings or plain_http, or the path of a locustfile."""
    input_tokens: Lengths = Lengths(fixed=32)
    """Approximate length of each prompt, in tokens: a number, or lines that say how it is drawn."""
    output_tokens: Lengths = Lengths(fixed=16)
    """Number of tokens that each answer is made to have, in the same way."""
    prompts: str | None = None
    """File with a JSON object on each line: prompt or messages, and output_tokens where an answer has its own
    length. Without it prompts are made."""
    shared_prefix: SharedPrefix | None = None
    """What prompts share at their beginning, for studies of prompt caches; by default no two begin alike."""
    request_timeout_seconds: Seconds = 60.0
    """A request that takes longer counts as an error."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Further parameters that the workload documents."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in ("prompts", "shared_prefix"):  # cells keep the hash that they had before
            if content[name] is None:
                del content[name]
        return content


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
