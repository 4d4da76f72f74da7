"""What the API answers: the same as the commands' `--json`, with its types."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from escalade.monitoring.sessions.results import State


class Told(BaseModel):
    """What all answers share."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Health(Told):
    """That the server answers; nothing of sessions."""

    status: Literal["ok"] = "ok"
    version: str
    """Of Escalade."""


class Job(Told):
    """The Slurm job of a session."""

    id: str
    state: str
    """In Slurm's words; UNKNOWN of a job that Slurm has forgotten."""
    reason: str
    nodes: list[str]
    seconds_left: float | None
    """Until its time limit, while it runs."""


class Client(Told):
    """A client that is connected."""

    id: str
    node: str


class Target(Told):
    """A page that a session watches, and how it is."""

    kind: str
    """service, node, dcgm, gpu or process."""
    name: str
    client_id: str | None
    node: str | None
    url: str | None
    """Where Prometheus asks it; null while that is not known."""
    given: str
    """As it was registered."""
    health: str
    """up, down or unknown of Prometheus; "not scraped" where it does not run or does not know it."""
    last_scrape: float | None
    """Unix seconds."""
    age_seconds: float | None
    """Since the last scrape."""
    last_error: str
    """Why the last scrape failed, or why there is none; empty when all is well."""
    exporter: str
    """Of an exporter that the session started: "runs", or how it ended."""


class Event(Told):
    """Something that was done to a session."""

    at: float
    """Unix seconds."""
    what: str


class Status(Told):
    """What is true of a session now."""

    session: str
    state: State
    """created, queued, starting, running, stopped, dead or elsewhere."""
    created_at: float
    """Unix seconds."""
    launcher: str | None
    """local or slurm; null before its first start."""
    job: Job | None
    url: str | None
    """Of Prometheus, where it runs."""
    ready: bool
    """Whether Prometheus says so."""
    version: str | None
    """Of Prometheus."""
    started_at: float | None
    """Unix seconds."""
    data: str
    """Folder of its samples, on the server."""
    clients: list[Client]
    targets: list[Target]
    problems: list[str]
    """What is wrong, a sentence each, with what to do."""
    log_tail: list[str]
    """The end of Prometheus' log, where it is dead."""
    events: list[Event]


class Damaged(Told):
    """A session whose record can't be read."""

    session: str
    state: Literal["damaged"]
    problems: list[str]


class Sessions(Told):
    """All sessions of the server."""

    sessions: list[Status | Damaged]


class Changed(Told):
    """What came of an operation that changes a session."""

    session: str
    what: str
    """What was done, in one sentence."""
    changed: bool
    """False where everything was so already."""
    live: bool
    """Whether Prometheus runs and has taken it."""
    targets: list[Target]
    """The pages that were registered, as they are now."""
    problems: list[str]
    """What is not as it was wanted, a sentence each."""


class Artifact(Told):
    """A file that can be fetched."""

    name: str
    """Its path in the collection."""
    bytes: int
    sha256: str


class StoredCollection(Told):
    """A collection, and its files."""

    name: str
    files: list[Artifact]


class Collections(Told):
    """All collections of a session."""

    collections: list[StoredCollection]


class CollectedWindow(Told):
    """The window that was collected: half-open."""

    given: str
    start: float
    """Unix seconds."""
    end: float
    """Unix seconds."""
    start_iso: str
    end_iso: str
    seconds: float
    note: str
    """What was cut off, and why; empty when nothing was."""


class Row(Told):
    """One statistic of one metric."""

    metric: str
    statistic: str
    labels: dict[str, str]
    slice: str | None
    """Service that the row is of; null in the rows of the whole."""
    value: float | None
    """null where there is none: `quality` says why. Missing is no zero."""
    unit: str
    low: float | None
    """Of what `method` says; null without a bound."""
    high: float | None
    """Of what `method` says; null without a bound."""
    method: str
    n: int
    """Samples, scrape intervals or observations that the value is of."""
    coverage: float | None
    """Part of the scrapes that should have been in the window and were."""
    quality: str
    """"ok", "flagged: …", "not estimable: …" or "no data: …"."""


class Collected(Told):
    """What a collection has brought."""

    session: str
    name: str
    window: CollectedWindow
    scrape_interval_seconds: float
    samples: int
    """Raw samples that are kept."""
    rows: list[Row]
    files: list[Artifact]


class Archive(Told):
    """An archive of a session's data."""

    name: str
    bytes: int


class Archives(Told):
    """All archives of a session."""

    archives: list[Archive]


class Series(Told):
    """Samples of one series."""

    metric: str
    """Its name; empty where an expression has none."""
    labels: dict[str, str]
    samples: list[tuple[float, str]]
    """Unix seconds and value. Values are text, as Prometheus gives them: NaN and infinities are
    some, and JSON has none."""


class Answer(Told):
    """What Prometheus answered; without series when there are no data."""

    series: list[Series]


class FieldProblem(Told):
    """What is wrong with one part of a request."""

    where: str
    """As in body.port."""
    what: str


class Problem(Told):
    """Why a request was not fulfilled."""

    code: str = Field(examples=["not_found"])
    """For programs; see docs/monitoring-api.md."""
    message: str
    """What is wrong, where, and what was expected."""
    advice: str
    """What to do next."""
    fields: list[FieldProblem] = []
    """Of a request that is not as the document says: each part that is not."""
