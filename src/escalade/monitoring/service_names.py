"""What services call the metrics that dashboards and alerts ask for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMMON = MappingProxyType(
    {
        "requests_total": ("http_requests_total", "swarm_router_requests_total"),
        "queue_length": ("llm_queue_length",),
    }
)
"""Names that services without a recipe have, by the canonical name."""
LATENCY_HISTOGRAMS = ("http_server_request_duration_seconds", "swarm_router_request_latency")
"""Histograms in which such services count how long a request took, in seconds."""


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """The names of each canonical metric, over all services.

    Parameters
    ----------
    by_metric
        Canonical name (as in a recipe's `metrics`) to the services' own, sorted.
    """

    by_metric: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, maps: Iterable[Mapping[str, str]] = ()) -> ServiceNames:
        """Gather the names of recipes, and those of services without one.

        Parameters
        ----------
        maps
            Canonical name to the service's own; one for each recipe and version.
        """
        found: dict[str, set[str]] = {metric: set(names) for metric, names in COMMON.items()}
        for names in maps:
            for metric, own in names.items():
                found.setdefault(metric, set()).add(own)
        return cls(MappingProxyType({metric: tuple(sorted(own)) for metric, own in found.items()}))

    def __getitem__(self, metric: str) -> tuple[str, ...]:
        """Give the names of a canonical metric; none where no service offers it."""
        return self.by_metric.get(metric, ())
