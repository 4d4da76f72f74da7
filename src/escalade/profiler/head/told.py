"""What the head is asked and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from escalade.profiler.head.nodes import Node
    from escalade.profiler.sessions import Session


class Told(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Wanted(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class About(Told):
    """What answers here."""

    name: Literal["escalade profile"] = "escalade profile"
    version: str
    """Of Escalade."""
    docs: str = "/docs"
    operations: list[str]
    """Method and path of each."""


class Health(Told):
    """That the head answers; nothing of nodes or sessions."""

    status: Literal["ok"] = "ok"
    version: str
    time: float
    """Unix seconds by the head's clock."""


class SessionTold(Told):
    """A session."""

    id: str
    name: str
    state: Literal["running", "ended"]
    start_time: float
    """Unix seconds."""
    end_time: float | None
    interval_ms: int
    bandwidth: bool
    nvlink: bool

    @classmethod
    def of(cls, session: Session) -> SessionTold:
        """Tell a session."""
        return cls(
            id=session.id,
            name=session.name,
            state="running" if session.runs else "ended",
            start_time=session.start,
            end_time=session.end,
            interval_ms=session.interval_ms,
            bandwidth=session.bandwidth,
            nvlink=session.nvlink,
        )


class Sessions(Told):
    """All sessions, by their start."""

    sessions: list[SessionTold]


class Status(Told):
    """How the head is."""

    interval_ms: int
    """Between two readings of a GPU."""
    bandwidth: bool
    nvlink: bool
    database: Literal["ready", "starting"]
    clients: int
    """Nodes that were ever connected and did not leave."""
    healthy: int
    """Of these, nodes of which something came in the last 30 s."""
    sessions: list[SessionTold]
    """Those that run."""


class ClientTold(Told):
    """A node."""

    node: str
    healthy: bool
    """Whether something came from it in the last 30 s."""
    left: bool
    """Whether its agent ended in order."""
    last_sample: float | None
    """Unix seconds by the head's clock: when it last sent something."""
    gpus: int
    clock_offset_seconds: float | None
    """How far its clock is ahead of the head's."""
    queue_bytes: int | None
    """What waited in its queue when it last sent something."""
    rejected: int
    """Requests that Prometheus refused for good."""

    @classmethod
    def of(cls, node: Node, now: float) -> ClientTold:
        """Tell a node."""
        return cls(
            node=node.name,
            healthy=node.healthy(now),
            left=node.left,
            last_sample=node.last_seen or None,
            gpus=node.gpus,
            clock_offset_seconds=node.clock_offset_seconds,
            queue_bytes=node.queue_bytes,
            rejected=node.rejected,
        )


class Clients(Told):
    """All nodes by their names."""

    clients: list[ClientTold]


class GpuTold(Told):
    """What a GPU showed last."""

    gpu_id: str
    """host:index:name."""
    node: str
    gpu: int
    name: str
    time: float
    """Unix seconds by the node's clock."""
    age_seconds: float
    """By the head's clock, corrected by the node's offset where that is known."""
    values: dict[str, float]
    """By column, in base units; of a counter its rate, named …_per_second."""


class Latest(Told):
    """What all GPUs showed last."""

    time: float
    """Unix seconds by the head's clock."""
    gpus: list[GpuTold]


class Start(Wanted):
    """A session to begin, or to cut out of the past."""

    name: str | None = Field(default=None, examples=["training"])
    """Letters, digits, ".", "_" and "-"; made from the time by default."""
    start_time: float | None = None
    """Unix seconds; now by default."""
    end_time: float | None = None
    """Unix seconds; by default the session runs until it is stopped."""


class Stop(Wanted):
    """Sessions to end."""

    name: str | None = Field(default=None, examples=["training"])
    """All that run by default."""
    wait_seconds: float = Field(default=5.0, ge=0, le=60)
    """How long to wait for readings that are still under way."""


class Resume(Wanted):
    """A session that is to go on."""

    name: str = Field(examples=["training"])
    """Name or id."""


class Output(Told):
    """A session that was ended, and its files."""

    session: SessionTold
    files: list[str]
    """On the head's machine."""
    frames: int
    gpus: int
    incomplete: list[str]
    """Nodes of which readings may still come: export again when they are back."""


class Stopped(Told):
    """The sessions that were ended."""

    stopped: list[Output]


class Connect(Wanted):
    """A node that wants to send."""

    node: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["node17"])
    instance: str = Field(pattern=r"^[0-9a-f]{8,64}$")
    """Of its agent, the same again on the same queue."""
    gpus: int = Field(ge=0, le=4096)
    clock_offset_seconds: float = Field(ge=-1e10, le=1e10)


class Leave(Wanted):
    """A node whose agent ends."""

    node: str = Field(max_length=64)
    instance: str = Field(max_length=64)


class Connected(Told):
    """What a node is to do."""

    interval_ms: int
    bandwidth: bool
    nvlink: bool


class Done(Told):
    """That it was done."""

    status: Literal["ok"] = "ok"
