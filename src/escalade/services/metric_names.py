"""What the metrics of a service are called, and what of them has to agree with the client."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from escalade.errors import InputError
from escalade.services.validation import Section
from escalade.services.versions import Versions, covers

Canonical = Literal[
    "requests_total",
    "input_tokens_total",
    "cached_tokens_total",
    "uncached_tokens_total",
    "looked_up_tokens_total",
    "cached_tokens_ratio",
    "output_tokens_total",
    "requests_running",
    "queue_length",
    "kv_cache_usage_ratio",
]
"""The server-side metrics from which something is computed: six counters, four gauges.

Of a prefix cache: tokens found in it, and all tokens looked up or those that were not found; the
engine's own ratio where it has no counters.
"""


class MetricNames(Section):
    """What the service's metrics are called in some of its versions."""

    versions: Versions = ""
    """Versions (PEP 440, as in ">=2026.10,<2027") with these names; all when empty."""
    names: Annotated[dict[Canonical, str], Field(min_length=1)]
    """The service's own name of each metric that it offers."""


class Metrics(Section):
    """Where the service's metrics are and what they are called."""

    path: Annotated[str, Field(pattern=r"^/")] = "/metrics"
    """Path of the URL that Prometheus scrapes."""
    by_version: Annotated[tuple[MetricNames, ...], Field(min_length=1)]
    """Names per version; the first entry that covers the version counts."""

    def names_of(self, recipe: str, version: str | None) -> dict[str, str]:
        """Give the service's names of a version; see `Recipe.metric_names`."""
        for entry in self.by_version:
            if version is None or covers(entry.versions, version):
                return {str(canonical): raw for canonical, raw in entry.names.items()}
        known = "; ".join(entry.versions for entry in self.by_version)
        raise InputError(
            f"Recipe {recipe} has no metric names for version {version} of the service (only for "
            f"{known}). Look at its metrics page and add an entry to metrics.by_version."
        )


class Agreement(Section):
    """On what the client and the service have to agree over a whole step."""

    quantity: Literal["requests", "output_tokens"]
    """What the client counts."""
    metric: Canonical
    """The service's counter of the same thing."""
