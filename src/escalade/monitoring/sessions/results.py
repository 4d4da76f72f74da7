"""What the operations of the monitoring service give back: plain data, for any interface."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["created", "queued", "starting", "running", "stopped", "dead", "elsewhere"]
"""Of a session.

created: never started. queued: its Slurm job waits. starting: Prometheus comes up. running: it is
there. stopped: on request. dead: it should run and does not. elsewhere: it was started on another
machine, which alone can say.
"""


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A page that a session watches, and how it is.

    Parameters
    ----------
    kind, name, client_id, node
        What it is, as it was registered.
    url
        Where Prometheus asks it; None while that is not known.
    given
        As it was registered.
    health
        "up", "down" or "unknown" of Prometheus; "not scraped" where Prometheus does not run or
        does not know it.
    last_scrape
        Unix seconds; None when it never was.
    age_seconds
        Since then.
    last_error
        Why the last scrape failed, or why it is not scraped; "" when all is well.
    exporter
        Of an exporter that the session started: "runs", or how it ended; "" of others.
    """

    kind: str
    name: str
    client_id: str | None
    node: str | None
    url: str | None
    given: str
    health: str
    last_scrape: float | None
    age_seconds: float | None
    last_error: str
    exporter: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON content."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Job:
    """The Slurm job of a session.

    Parameters
    ----------
    id
        Its number.
    state, reason
        In Slurm's words; UNKNOWN of a job that Slurm has forgotten.
    nodes
        Its nodes, once it has some.
    seconds_left
        Until its time limit, while it runs.
    """

    id: str
    state: str
    reason: str
    nodes: tuple[str, ...]
    seconds_left: float | None

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON content."""
        return {**dataclasses.asdict(self), "nodes": list(self.nodes)}


@dataclass(frozen=True, slots=True)
class Status:
    """What is true of a session now.

    Parameters
    ----------
    session, state
        Its id, and a `State`.
    created_at
        Unix seconds.
    launcher
        "local" or "slurm"; None before its first start.
    job
        Its Slurm job.
    url
        Of Prometheus; None while nobody knows it.
    ready
        Whether Prometheus says that it is.
    version
        Of Prometheus.
    started_at
        When it was ready, in Unix seconds.
    data
        Folder of its samples.
    clients
        Those that are connected: id and node.
    targets
        All that is registered.
    problems
        What is wrong, a sentence each, with what to do.
    log_tail
        The end of Prometheus' log, where it is dead.
    events
        What was done to it: time and words.
    """

    session: str
    state: State
    created_at: float
    launcher: str | None
    job: Job | None
    url: str | None
    ready: bool
    version: str | None
    started_at: float | None
    data: str
    clients: tuple[tuple[str, str], ...]
    targets: tuple[TargetStatus, ...]
    problems: tuple[str, ...]
    log_tail: tuple[str, ...]
    events: tuple[tuple[float, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON content."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        content["job"] = None if self.job is None else self.job.to_json()
        content["clients"] = [{"id": name, "node": node} for name, node in self.clients]
        content["targets"] = [target.to_json() for target in self.targets]
        content["problems"], content["log_tail"] = list(self.problems), list(self.log_tail)
        content["events"] = [{"at": at, "what": what} for at, what in self.events]
        return content


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of an operation that changes a session.

    Parameters
    ----------
    session
        Its id.
    what
        What was done, in one sentence.
    changed
        False where everything was so already.
    live
        Whether Prometheus runs and has taken it.
    targets
        The pages that were registered, as they are now.
    problems
        What is not as it was wanted, a sentence each.
    """

    session: str
    what: str
    changed: bool = True
    live: bool = False
    targets: tuple[TargetStatus, ...] = ()
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON content."""
        return {
            "session": self.session,
            "what": self.what,
            "changed": self.changed,
            "live": self.live,
            "targets": [target.to_json() for target in self.targets],
            "problems": list(self.problems),
        }
