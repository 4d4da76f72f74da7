"""Starts a head in an allocation, and prints what of it stands in environment.json.

In a program of its own: the fake library is found by what is in the environment when it begins.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from escalade.runtime import driver
from escalade.runtime.local import LocalLauncher
from escalade.services import loader
from escalade.services.catalogue import ModelCatalogue
from escalade.services.recipes import Recipe
from escalade.services.validation import validated
from model_loading import RECIPE


def main(folder: Path, megabytes: int, replicas: int) -> None:
    (folder / "m.head").write_text(json.dumps({"takes_megabytes": megabytes}))
    model = {"name": "m", "bucket": "small", "declared_megabytes": 500}
    content = {
        "location": folder / "models.yaml",
        "models": [{**model, "source": {"path": "m.head"}}],
        "profiles": {"here": {"memory_megabytes": 1000, "device": "gpu"}},
    }
    launcher = LocalLauncher()
    with driver.driving(folder / "state", "demo", "run-1") as run:
        allocation = launcher.allocate("cell", run.path / "cell", run)
        state = loader.start_service(
            launcher,
            allocation,
            validated(Recipe, {**RECIPE, "name": "head"}, "head.yaml"),
            parameters={},
            catalogue=validated(ModelCatalogue, content, "models.yaml"),
            profile="here",
            models=["m"],
            log=folder / "service.log",
            replicas=replicas,
        )
        launcher.release(allocation)
    sys.stdout.write(json.dumps(state["service"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
