"""What one request is, as a user writes it: its kind, lengths, prompts and the client's patience."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from escalade.load.drawable import check_abandonment, check_conversation, check_lengths
from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600, allow_inf_nan=False)]
_WHERE_GIVEN = ("prompts", "shared_prefix", "abandon", "conversation")
"""Keys that are left out where they say nothing: cells keep the hash that they had before."""
STREAMS = ("openai_chat", "openai_completions")
"""Workloads whose answers come in pieces."""
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]


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


class Abandon(Section):
    """Clients that leave in the middle of an answer; what that costs the service and the others."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the requests, drawn with the arrivals: exactly so many of each warm-up and window."""
    after_tokens: Tokens | None = None
    """The client closes the connection after so many pieces of the answer that carry text."""
    after_seconds: Seconds | None = None
    """The client closes the connection so long after the planned send, unless it has the whole answer by then."""

    @property
    def drawn(self) -> dict[str, Any]:
        """The section as `escalade.load.abandonment` takes it."""
        return self.model_dump(exclude_none=True)

    @model_validator(mode="after")
    def _one(self) -> Abandon:
        check_abandonment(self.drawn)
        return self


class ThinkTime(Section):
    """How long is thought before a turn: `fixed`, `uniform`, `exponential` or `values`; a number means `fixed`."""

    fixed: Annotated[float, Field(ge=0, le=24 * 3600)] | None = None
    """The same before all turns, in seconds."""
    uniform: tuple[float, float] | None = None
    """[least, most], in seconds."""
    exponential: Annotated[float, Field(ge=0, le=24 * 3600)] | None = None
    """Exponentially distributed with this mean, in seconds."""
    values: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    """Drawn from these, each as likely, in seconds."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say that a plain number will do."""
        return {"anyOf": [{"type": "number", "minimum": 0}, handler(core)]}

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, content: Any) -> Any:
        return content if isinstance(content, (dict, ThinkTime)) else {"fixed": content}

    @model_serializer(mode="plain")
    def _as_written(self) -> float | dict[str, Any]:
        return self.drawn

    @property
    def drawn(self) -> float | dict[str, Any]:
        """The distribution as `escalade.load.conversation` takes it."""
        if self.fixed is not None:
            return self.fixed
        given = {"uniform": self.uniform, "values": self.values}
        content: dict[str, Any] = {name: list(of) for name, of in given.items() if of is not None}
        return content | ({} if self.exponential is None else {"exponential": self.exponential})

    @model_validator(mode="after")
    def _one(self) -> ThinkTime:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected one of fixed, uniform, exponential and values")
        check_conversation({"turns": 1, "think_seconds": self.drawn})
        return self


class Conversation(Section):
    """Requests that go on as conversations; arrivals and target_qps are those of first turns."""

    turns: Lengths | None = None
    """Number of turns of each conversation, or how it is drawn. Left out where prompts are scripts with turns."""
    think_seconds: ThinkTime = ThinkTime(fixed=1.0)
    """From the end of an answer to the next turn, or how it is drawn."""


class Request(Section):
    """What one request is."""

    kind: str = "openai_chat"
    """openai_chat, openai_completions, openai_embeddings, pgvector, plain_http or s3, or the path of a locustfile."""
    input_tokens: Lengths = Lengths(fixed=32)
    """Approximate length of each prompt, in tokens: a number, or lines that say how it is drawn."""
    output_tokens: Lengths = Lengths(fixed=16)
    """Number of tokens that each answer is made to have, in the same way."""
    prompts: str | None = None
    """File with a JSON object on each line: prompt or messages, and output_tokens where an answer has its own
    length. Without it prompts are made."""
    shared_prefix: SharedPrefix | None = None
    """What prompts share at their beginning, for studies of prompt caches; by default no two begin alike."""
    abandon: Abandon | None = None
    """Share of requests whose clients leave before the end; by default all wait for it."""
    conversation: Conversation | None = None
    """Turns that follow each request with all that was said before; by default none does."""
    request_timeout_seconds: Seconds = 60.0
    """A request that takes longer counts as an error."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Further parameters that the workload documents."""

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in _WHERE_GIVEN:
            if content[name] is None:
                del content[name]
        return content

    @property
    def drawn(self) -> dict[str, Any]:
        """What of it is drawn with the schedule, as `escalade.load.schedule` takes it."""
        lengths = {
            "input_tokens": self.input_tokens.drawn,
            "output_tokens": self.output_tokens.drawn,
        }
        return lengths | ({"abandon": self.abandon.drawn} if self.abandon else {})

    def conversation_drawn(self, scripts: Sequence[int] | None) -> dict[str, Any]:
        """Give how it goes on, as `escalade.load.conversation` takes it; {} when it does not.

        Parameters
        ----------
        scripts
            Numbers of turns of the prompts, where they are scripts.

        Raises
        ------
        ValueError
            When turns and prompts don't go together.
        """
        if self.conversation is None:
            if scripts is not None:
                raise ValueError("prompts with `turns` need workload.conversation")
            return {}
        if (scripts is None) == (self.conversation.turns is None):
            raise ValueError(
                "conversation: either turns says how many there are, or the prompts are scripts with "
                '`turns` ({"turns": ["…", "…"]} on each line)'
            )
        told: dict[str, Any] = {"scripts": list(scripts)} if scripts is not None else {}
        if self.conversation.turns is not None:
            told = {"turns": self.conversation.turns.drawn}
        return {**told, "think_seconds": self.conversation.think_seconds.drawn}

    @model_validator(mode="after")
    def _leaves_a_stream(self) -> Request:
        streams = self.kind in STREAMS or self.kind.endswith(".py")
        if self.abandon and self.abandon.after_tokens and not streams:
            raise ValueError(
                f"abandon.after_tokens needs answers that come as a stream, and those of {self.kind} "
                "don't; write after_seconds"
            )
        if self.conversation and self.kind != "openai_chat" and not self.kind.endswith(".py"):
            raise ValueError(f"conversation needs the kind openai_chat; the kind is {self.kind}")
        return self


class Part(Request):
    """One workload of a mix."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] = ""
    """Name in the request log, in KPIs and in objectives; the kind's by default."""
    share: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """How many of the requests are of this workload, relative to the others' shares."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        if not isinstance(content, dict) or content.get("name"):
            return content
        return {**content, "name": PurePath(str(content.get("kind", "openai_chat"))).stem}

    @property
    def drawn(self) -> dict[str, Any]:
        """What of it is drawn with the schedule, as `escalade.load.mix` takes it."""
        return {"name": self.name, "share": self.share} | super().drawn


class Workload(Request):
    """What the requests are: of one workload, or of several in a mix."""

    mix: Annotated[tuple[Part, ...], Field(min_length=2, max_length=100)] | None = None
    """Several workloads that share the requests of each step, each with keys of its own as they stand here. Nothing
    else goes with it."""

    @property
    def parts(self) -> tuple[Request, ...]:
        """The workloads, one or several."""
        return self.mix or (self,)

    @model_serializer(mode="wrap")
    def _mix_alone(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = self._without_what_is_usual(write)
        mix = content.pop("mix")
        return content if mix is None else {"mix": mix}

    @model_validator(mode="after")
    def _nothing_beside_a_mix(self) -> Workload:
        if self.mix is None:
            return self
        if beside := sorted(self.model_fields_set - {"mix"}):
            raise ValueError(
                f"with mix each workload says for itself what it is: move {', '.join(beside)} there"
            )
        names = [part.name for part in self.mix]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"workloads of a mix differ in name; give name to {', '.join(doubled)}"
            )
        files = {PurePath(part.kind).stem: part.kind for part in self.mix}
        if clash := sorted({part.kind for part in self.mix} - set(files.values())):
            raise ValueError(f"locustfiles of a mix differ in file name; rename {clash[0]}")
        return self
