"""What is asked of the API: bodies and parameters. Numbers are numbers, and nothing unknown passes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from escalade.monitoring.windows.queries import Questions

SESSION = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Pattern of what names a session, a collection or an archive: it is part of a path."""
_HOST = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$"
_FILE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"
_SLURM = r"^[A-Za-z0-9_][A-Za-z0-9_.,+@-]{0,127}$"
_TIME = r"^[0-9]{1,4}(-[0-9]{1,2})?(:[0-9]{1,2}){0,2}$"
_JOB = r"^(job:)?[1-9][0-9]{0,9}$"
_MOST_WAIT = 600.0

Id = Annotated[str, Field(pattern=SESSION, examples=["bench01"])]
Label = Annotated[str, Field(min_length=1, max_length=128)]
Endpoint = Annotated[
    str, Field(min_length=1, max_length=2048, examples=["http://nodeA:8000/metrics"])
]
Wait = Annotated[float, Field(ge=0, le=_MOST_WAIT)]


class Wanted(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class RuleFile(Wanted):
    """Recording and alerting rules, as text: the server reads no file that a request names."""

    name: str = Field(pattern=_FILE, examples=["alerts.yml"])
    """What the file is called in the session."""
    text: str = Field(min_length=1, max_length=1 << 19)
    """YAML, as in a rule file of Prometheus."""


class NewSession(Wanted):
    """A session that is to be made."""

    session: Id
    """Its id."""
    prom_host: str = Field(default="localhost", pattern=_HOST)
    """Where Prometheus listens. localhost is 127.0.0.1 of the server's machine, and in a Slurm job
    the address of its node."""
    port: int = Field(default=0, ge=0, le=65535)
    """Of Prometheus; a free one when 0."""
    scrape_interval_seconds: float = Field(default=5.0, ge=0.1, le=3600)
    """Between two samples of a series."""
    rules: list[RuleFile] = Field(default=[], max_length=32)
    """Rule files, which promtool has to accept."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"session": "bench01", "scrape_interval_seconds": 1.0}]}
    )


class SlurmJob(Wanted):
    """What Slurm is asked for; what is left out is that of the server's site file."""

    partition: str | None = Field(default=None, pattern=_SLURM, examples=["cpu"])
    """Partition."""
    account: str | None = Field(default=None, pattern=_SLURM)
    """Account."""
    qos: str | None = Field(default=None, pattern=_SLURM)
    """QOS."""
    time: str | None = Field(default=None, pattern=_TIME, examples=["01:30:00"])
    """Time limit: minutes, HH:MM:SS or D-HH:MM:SS; 4 hours by default."""


class Start(Wanted):
    """How a session is to be started."""

    slurm: SlurmJob | None = None
    """Run as a Slurm job; on the server's machine when null."""
    wait_seconds: Wait = 60.0
    """How long to wait for Slurm to start the job; it stays in the queue beyond that."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"slurm": {"partition": "cpu"}}]})


class NewClient(Wanted):
    """A client that connects, with the exporters that run on its node already."""

    client_id: Label
    """The client; the label client_id of its samples."""
    node: Label
    """Where it is; the label node."""
    node_exporter: Endpoint | None = None
    """Its node_exporter, as in nodeA:9100."""
    dcgm_exporter: Endpoint | None = None
    """Its DCGM exporter, as in nodeA:9400."""
    wait_seconds: Wait = 15.0
    """How long to wait until they were scraped well, where Prometheus runs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"client_id": "c1", "node": "nodeA", "node_exporter": "nodeA:9100"}]
        }
    )


class NamedEndpoint(Wanted):
    """The /metrics page of a service."""

    name: Label
    """Of the service; the job of its samples."""
    endpoint: Endpoint
    """http://HOST:PORT/metrics, HOST:PORT, or job:ID:PORT. 127.0.0.1 is the server's machine."""


class NewServices(Wanted):
    """Services to be registered: all of them, or none."""

    services: list[NamedEndpoint] = Field(min_length=1, max_length=10_000)
    """Their pages."""
    client_id: Label | None = None
    """The client whose services they are; it has to be connected."""
    wait_seconds: Wait = 15.0
    """How long to wait until they were scraped well, where Prometheus runs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "services": [{"name": "triton", "endpoint": "http://nodeA:8000/metrics"}],
                    "client_id": "c1",
                }
            ]
        }
    )


class NewExporter(Wanted):
    """An exporter that the session starts and ends."""

    kind: Literal["node", "gpu", "process"]
    """What it reads; "process" tells what the session itself uses."""
    job: str | None = Field(default=None, pattern=_JOB, examples=["1234"])
    """Slurm job on whose nodes it runs; the session's own node when null."""
    gpus: int = Field(default=1, ge=1, le=64)
    """GPUs on each node of that job."""
    wait_seconds: Wait = 15.0
    """How long to wait until it was scraped well, where Prometheus runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "node"}]})


class NewCollection(Wanted):
    """A window of time to be collected: by from_iso and to_iso, by last, by job or by label."""

    name: Id
    """Of the collection; it stands in the tables as run_id."""
    from_iso: str | None = Field(default=None, max_length=64, examples=["2025-10-01T10:00:00Z"])
    """Begin, with its zone."""
    to_iso: str | None = Field(default=None, max_length=64, examples=["2025-10-01T10:10:00Z"])
    """End, which is not part of it."""
    last: str | None = Field(default=None, max_length=64, examples=["10m"])
    """Length up to now."""
    job: str | None = Field(default=None, max_length=32, examples=["1234"])
    """Id of a Slurm job: while it ran."""
    label: str | None = Field(default=None, max_length=512, examples=["step=3"])
    """NAME=VALUE: from the first to the last sample with it."""
    queries: Questions | None = None
    """What is computed, as in a queries file; the shipped queries by default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "run01", "last": "10m"}]})

    @model_validator(mode="after")
    def _insist_on_one_window(self) -> Self:
        if (self.from_iso is None) != (self.to_iso is None):
            raise ValueError("a window has two ends: give from_iso and to_iso together.")
        given = [self.from_iso, self.last, self.job, self.label]
        if sum(way is not None for way in given) != 1:
            raise ValueError("expected one of: from_iso with to_iso, last, job, label.")
        return self


class NewArchive(Wanted):
    """An archive of all data of a session."""

    name: Id
    """Of the archive."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "bench01-final"}]})


class Question(Wanted):
    """A query in PromQL: at one moment, or over a range of time."""

    expression: str = Field(min_length=1, max_length=8192, examples=["up"])
    """PromQL."""
    at: float | None = Field(default=None, ge=0, le=1e11)
    """The moment, in Unix seconds; now when null. Not with a range."""
    start: float | None = Field(default=None, ge=0, le=1e11)
    """Begin of a range, in Unix seconds."""
    end: float | None = Field(default=None, ge=0, le=1e11)
    """End of it, included."""
    step_seconds: float | None = Field(default=None, ge=0.001, le=1e9)
    """From one moment of it to the next."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"expression": "up"}]})

    @model_validator(mode="after")
    def _insist_on_a_whole_range(self) -> Self:
        given = [value is not None for value in (self.start, self.end, self.step_seconds)]
        if any(given) and (not all(given) or self.at is not None):
            raise ValueError("a range has start, end and step_seconds, and no `at`.")
        return self


class Deletion(Wanted):
    """How a session is to be deleted."""

    model_config = ConfigDict(strict=False)  # parameters of a URL are text

    force: bool = False
    """Stop it first where it runs, and delete it even if its record is damaged."""


class ClientToRemove(Wanted):
    """Which client is taken away, with its services and exporters."""

    client_id: Label
    """As it was connected."""


class ServiceToRemove(Wanted):
    """Which service is taken away."""

    name: Label
    """As it was registered."""
    client_id: Label | None = None
    """Where several clients have one of this name."""


class ExporterToRemove(Wanted):
    """Which exporter is taken away; one that the session started is ended."""

    kind: Literal["node", "dcgm", "gpu", "process"]
    """As the status of the session shows it."""
    name: Label
    """As the status shows it: its node, or session."""
