"""What is told of a model that is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """A model that is loaded.

    Parameters
    ----------
    name, bucket
        As in the catalogue.
    backend
        Recipe of its server; "planning" where nothing was started.
    url, metrics_url
        Where it answers, and its page of metrics where it has one.
    metric_names
        The server's own names of what it counts, by our names.
    pid, log
        Of its server.
    ready_seconds
        From its start until it was ready.
    declared_bytes
        What the catalogue says that it takes.
    measured_bytes
        By how much the memory in use rose; None where nothing was measured.
    """

    name: str
    bucket: str
    backend: str
    declared_bytes: int
    measured_bytes: int | None = None
    ready_seconds: float | None = None
    url: str | None = None
    metrics_url: str | None = None
    metric_names: dict[str, str] | None = None
    pid: int | None = None
    log: str | None = None
