"""A held allocation, the shipped recipes and the demo's model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from escalade.runtime import driver
from escalade.runtime.local import LocalLauncher
from escalade.services import loader
from escalade.services.recipes import Recipe, load_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.steps import StepState

CONFIG = Path(__file__).parents[3] / "config"
MODEL = "smollm2-135m"


@dataclass
class Place:
    """An allocation in which services are started."""

    launcher: LocalLauncher
    allocation: AllocationState
    log: Path

    def start(self, recipe: Recipe | str, **changes: Any) -> dict[str, Any]:
        """Start a service and give its state."""
        known = load_recipe(recipe, CONFIG / "recipes") if isinstance(recipe, str) else recipe
        options: dict[str, Any] = {
            "parameters": {},
            "catalogue": loader.load_catalogue(CONFIG / "models.yaml"),
            "profile": "laptop",
            "models": [MODEL] if known.models.minimum else [],
            "log": self.log,
            **changes,
        }
        return loader.start_service(self.launcher, self.allocation, known, **options)

    def stop(self) -> None:
        self.launcher.stop(self.allocation, loader.STEP_NAME)

    def until_ended(self) -> StepState:
        """Wait until the service has ended by itself or was ended."""
        deadline = time.monotonic() + 20
        while (state := self.launcher.state(self.allocation, loader.STEP_NAME)).running:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return state

    @property
    def service_runs(self) -> bool:
        return self.launcher.state(self.allocation, loader.STEP_NAME).running


def held(root: Path) -> Iterator[Place]:
    """Hold an allocation."""
    with driver.driving(root / "state", "demo", "run-1", 15.0) as run:
        launcher = LocalLauncher()
        allocation = launcher.allocate("cell", run.path / "cell", run)
        yield Place(launcher, allocation, root / "service.log")
        launcher.release(allocation)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield from held(tmp_path)


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a place for tests that only look at one running service."""
    yield from held(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def llama(shared_place: Place) -> dict[str, Any]:
    """Give the state of a running llama.cpp with two slots and short prompts."""
    return shared_place.start("llama_cpp", parameters={"slots": 2, "chat_template": "chatml"})
