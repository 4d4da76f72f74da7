"""Loads models one after another, measures what each took, and gives all back in reverse order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError
from escalade.models.heads import Head
from escalade.runtime.local import LocalLauncher
from escalade.services.loader import STEP_NAME, start_service

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.models.meters import Meter
    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.driver import RunFolder
    from escalade.services.catalogue import CatalogueModel, ModelCatalogue
    from escalade.services.recipes import Recipe

MEMORY_SHARE = "gpu_memory_utilization"
"""Parameter of engines that reserve a share of the GPU when they start."""


class Loader:
    """Holds models in memory.

    Parameters
    ----------
    run
        Nothing that is loaded outlives it.
    catalogue, profile
        Where the models are, and the memory that they are loaded into.
    meter
        Measures what they take.
    gpu_bytes
        Memory of the GPU, for engines that reserve a share of it; None on the host.
    """

    def __init__(
        self,
        run: RunFolder,
        catalogue: ModelCatalogue,
        profile: str,
        meter: Meter,
        gpu_bytes: int | None = None,
    ) -> None:
        self._run = run
        self._catalogue = catalogue
        self._profile = profile
        self._meter = meter
        self._gpu_bytes = gpu_bytes
        self._launcher = LocalLauncher()
        self._held: dict[str, tuple[Head, AllocationState]] = {}
        self.taken_bytes = 0

    @property
    def heads(self) -> list[Head]:
        """What is loaded, in the order of loading."""
        return [head for head, _ in self._held.values()]

    @property
    def limit_bytes(self) -> int:
        """What the models may take together."""
        return self._catalogue.profile(self._profile).memory_bytes

    def load(self, model: CatalogueModel, recipe: Recipe, logs: Path) -> Head:
        """Start the server of a model, wait until it is ready, and measure.

        Raises
        ------
        InputError, ToolMissingError, ServiceFailedError, InfrastructureError
            When it can't be started; nothing of it is left, and what was loaded before stays.
        """
        allocation = self._launcher.allocate(
            model.name, self._run.path / "heads" / model.name, self._run
        )
        log = logs / f"{model.name}.log"
        try:
            state = start_service(
                self._launcher,
                allocation,
                recipe,
                parameters=self._parameters(recipe, model),
                catalogue=self._catalogue,
                profile=self._profile,
                models=[model.name],
                log=log,
            )
            pid = state["replicas"][0]["pid"]
            taken = self._meter.taken_bytes([*self._pids(), pid])
        except EscaladeError:
            self._launcher.release(allocation)
            raise
        head = Head(
            name=model.name,
            bucket=model.bucket,
            backend=recipe.name,
            declared_bytes=model.declared_bytes,
            measured_bytes=taken - self.taken_bytes,
            ready_seconds=state["service"]["ready_seconds"],
            url=state["url"],
            metrics_url=_page(state),
            metric_names=state["metric_names"],
            pid=pid,
            log=str(log),
        )
        self._held[model.name] = (head, allocation)
        self.taken_bytes = taken
        return head

    def ended(self) -> dict[str, str]:
        """Say of every server that has ended by itself how, and give its memory back."""
        found = {}
        for name, (_, allocation) in list(self._held.items()):
            state = self._launcher.state(allocation, STEP_NAME)
            if not state.running:
                found[name] = state.describe()
                self.release(name)
        return found

    def release(self, name: str) -> None:
        """End a model's server; harmless for one that is not loaded.

        Raises
        ------
        InfrastructureError
            When a process of it survives SIGKILL.
        """
        found = self._held.pop(name, None)
        if found is not None:
            self._launcher.release(found[1])
            self.taken_bytes = self._meter.taken_bytes(self._pids())

    def release_all(self) -> list[str]:
        """End all servers, the last one loaded first; give their names in that order."""
        names = [head.name for head in reversed(self.heads)]
        for name in names:
            self.release(name)
        return names

    def measure(self) -> int:
        """Measure again what all take."""
        self.taken_bytes = self._meter.taken_bytes(self._pids())
        return self.taken_bytes

    def _pids(self) -> list[int]:
        return [head.pid for head in self.heads if head.pid is not None]

    def _parameters(self, recipe: Recipe, model: CatalogueModel) -> dict[str, Any]:
        """Have an engine that reserves a share of the GPU reserve what the model declares."""
        if MEMORY_SHARE not in recipe.parameters or not self._gpu_bytes:
            return {}
        return {MEMORY_SHARE: round(model.declared_bytes / self._gpu_bytes, 4)}


def _page(state: dict[str, Any]) -> str | None:
    path = state["metrics_path"]
    return f"{state['url']}{path}" if path else None
