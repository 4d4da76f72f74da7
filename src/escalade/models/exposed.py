"""State of the loader as metrics: which models are loaded, and what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from escalade.models.heads import Head
    from escalade.services.planning import LoadPlan

LOADED = "escalade_model_loaded"
SWARM_LOADED = "swarm_model_loaded"


class LoadedModels(Collector):
    """Gives, for every model of a plan, whether it is loaded, and the memory of those that are.

    Parameters
    ----------
    plan, profile
        The models, and the memory that they were planned into.
    heads
        Gives what is loaded now.
    compatible
        Adds the name that the first dashboards used.
    """

    def __init__(
        self,
        plan: LoadPlan,
        profile: str,
        heads: Callable[[], Sequence[Head]],
        *,
        compatible: bool = False,
    ) -> None:
        self._plan = plan
        self._profile = profile
        self._heads = heads
        self._names = (LOADED, SWARM_LOADED) if compatible else (LOADED,)

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the samples of this moment."""
        heads = {head.name: head for head in self._heads()}
        models = (*self._plan.loaded, *self._plan.skipped, *self._plan.spilled)
        for name in self._names:
            loaded = GaugeMetricFamily(
                name, "Whether the model is loaded (1) or not (0).", labels=("model", "profile")
            )
            for model in models:
                loaded.add_metric((model.name, self._profile), float(model.name in heads))
            yield loaded
        yield _bytes("declared", models, lambda model: model.declared_bytes)
        yield _bytes("measured", list(heads.values()), lambda head: head.measured_bytes)
        limit = GaugeMetricFamily(
            "escalade_models_memory_limit_bytes",
            "Memory that the models may take together.",
            labels=("profile",),
        )
        limit.add_metric((self._profile,), self._plan.budget_bytes)
        yield limit


def _bytes(kind: str, things: Sequence, of: Callable[..., int | None]) -> GaugeMetricFamily:  # type: ignore[type-arg]
    family = GaugeMetricFamily(
        f"escalade_model_{kind}_bytes", f"Memory of the model: {kind}.", labels=("model",)
    )
    for thing in things:
        if (size := of(thing)) is not None:
            family.add_metric((thing.name,), size)
    return family
