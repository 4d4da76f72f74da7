"""What is computed of a window: the shipped queries, and those of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from escalade.errors import InputError
from escalade.monitoring.faults import BadQueryError
from escalade.monitoring.windows.extent import EVERYTHING
from escalade.services.validation import Section, read_yaml, validated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.monitoring.client import PrometheusClient

Kind = Literal["expression", "counter", "share", "histogram"]
Share = Annotated[float, Field(gt=0, lt=1)]
QUANTILES = (0.5, 0.95, 0.99)
"""Those of a histogram that names none."""

_PROMETHEUS_LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"


class Query(Section):
    """One figure of the window, with its statistics."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    """Name of the metric in the tables; one that a shipped query has takes its place."""
    kind: Kind = "expression"
    """expression: PromQL that is evaluated at every scrape interval, then mean, min and max; a
    range in it looks back before the window. counter: selector of counters; how much they grew,
    per second. share: selector of counters; how much they grew as part of `of`, as busy of all CPU
    time. histogram: selector of `…_bucket`; quantiles of what was observed in the window."""
    expr: str = Field(min_length=1)
    """PromQL: an expression, or a selector as in `http_requests_total{job="triton"}`."""
    of: str | None = Field(default=None, min_length=1)
    """Of a share: selector of the whole."""
    unit: str = Field(min_length=1, max_length=40)
    """Unit of the result: s, bytes, W, J, 1/s, ratio, …"""
    scale: float = Field(default=1.0, gt=0)
    """What Prometheus has is multiplied by it, so that it gets the unit: 0.001 for milliseconds."""
    quantiles: tuple[Share, ...] | None = Field(default=None, min_length=1)
    """Of a histogram; 0.5, 0.95 and 0.99 by default."""

    @model_validator(mode="after")
    def _fit_the_kind(self) -> Self:
        if (self.of is not None) != (self.kind == "share"):
            wanted = "needs `of`" if self.kind == "share" else "has no `of`"
            raise ValueError(f"{self.name}: a query of the kind {self.kind} {wanted}.")
        if self.quantiles is not None and self.kind != "histogram":
            raise ValueError(f"{self.name}: only a query of the kind histogram has `quantiles`.")
        return self

    @property
    def selectors(self) -> tuple[str, ...]:
        """What has to be a selector; an expression has none."""
        if self.kind == "expression":
            return ()
        return (self.expr,) if self.of is None else (self.expr, self.of)


DEFAULTS = (
    Query(name="throughput", kind="counter", expr="http_requests_total", unit="1/s"),
    Query(
        name="cpu_utilization",
        kind="share",
        expr='node_cpu_seconds_total{mode!="idle"}',
        of="node_cpu_seconds_total",
        unit="ratio",
    ),
    Query(
        name="gpu_utilization",
        expr="avg(DCGM_FI_DEV_GPU_UTIL) / 100 or avg(escalade_gpu_utilization_ratio)",
        unit="ratio",
    ),
    Query(
        name="latency",
        kind="histogram",
        expr="http_server_request_duration_seconds_bucket",
        unit="s",
        quantiles=QUANTILES,
    ),
)
"""The shipped queries: what most services, node_exporter and the GPU exporters of NVIDIA and Escalade tell."""


class Questions(Section):
    """A queries file: what is asked, and how it is written down."""

    defaults: bool = True
    """Whether the shipped queries are asked too."""
    queries: tuple[Query, ...] = ()
    """Figures of the window; see docs/collecting.md."""
    slice_by: str = Field(default="job", pattern=_PROMETHEUS_LABEL)
    """Label that tells services apart: there is a table for each of its values."""
    raw: tuple[str, ...] = (EVERYTHING,)
    """Selectors of the raw samples that are kept; an empty list keeps none."""

    @model_validator(mode="after")
    def _name_each_once(self) -> Self:
        names = [query.name for query in self.queries]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two queries have the name {twice[0]!r}; expected one of each.")
        if not self.defaults and not self.queries:
            raise ValueError("nothing is asked: give `queries`, or leave out `defaults: false`.")
        return self

    @property
    def asked(self) -> tuple[Query, ...]:
        """All queries: the shipped ones, each in its place unless the file has its own, then others."""
        own = {query.name: query for query in self.queries}
        shipped = DEFAULTS if self.defaults else ()
        first = [own.pop(query.name, query) for query in shipped]
        return (*first, *own.values())

    def to_json(self) -> dict[str, Any]:
        """Give what is asked as a queries file has it, with nothing left to defaults."""
        resolved = Questions(
            defaults=False, queries=self.asked, slice_by=self.slice_by, raw=self.raw
        )
        return resolved.model_dump(mode="json", exclude_none=True)


def read_questions(path: Path) -> Questions:
    """Read a queries file.

    Raises
    ------
    InputError
        When it is missing, damaged, or has what is not known.
    """
    return validated(Questions, read_yaml(path, "queries"), str(path))


def check(client: PrometheusClient, questions: Questions, at: float) -> None:
    """Have Prometheus read every expression and selector before anything is gathered.

    Raises
    ------
    InputError
        With Prometheus' own words on each one that it can't evaluate.
    """
    refused = [
        *(said for query in questions.asked for said in _refusals(client, query, at)),
        *_not_selecting(client, "raw", questions.raw, at),
    ]
    if refused:
        listed = "\n".join(f"  {said}" for said in refused)
        raise InputError(
            f"Prometheus refuses what is asked:\n{listed}\nCorrect it and start again."
        )


def _refusals(client: PrometheusClient, query: Query, at: float) -> list[str]:
    if query.kind != "expression":
        return _not_selecting(client, query.name, query.selectors, at)
    try:
        client.range_samples(query.expr, at, at, 1.0)
    except BadQueryError as error:
        return [f"{query.name}: {error}"]
    return []


def _not_selecting(
    client: PrometheusClient, name: str, selectors: Sequence[str], at: float
) -> list[str]:
    said = []
    for selector in selectors:
        try:
            list(client.raw_pieces(selector, at, at + 0.001))
        except BadQueryError as error:
            said.append(f"{name}: {error} Expected a selector, as in http_requests_total.")
    return said
