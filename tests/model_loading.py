"""A project whose models are servers that take memory of a fake GPU."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakenvml import FakeGpu

GB = 10**9
HEADS = Path(__file__).with_name("heads.py")
RECIPE = {
    "description": "A head for tests",
    "version": {"distribution": "escalade"},
    "models": {"minimum": 1, "maximum": 1},
    "command": ["{python}", str(HEADS), "{model_path}", ["--host", "{host}"], ["--port", "{port}"]],
    "probe": {"path": "/health", "timeout_seconds": 20},
    "metrics": {"by_version": [{"names": {"requests_total": "head_requests_total"}}]},
    "workload": {"kind": "openai_chat"},
}


class Project:
    """A project with models that say what they take."""

    def __init__(self, folder: Path, gpu: FakeGpu) -> None:
        self.folder = folder
        self.gpu = gpu
        (folder / "config" / "recipes").mkdir(parents=True)
        (folder / "Snakefile").touch()
        (folder / "config" / "recipes" / "head.yaml").write_text(yaml.safe_dump(RECIPE))
        self.models: list[dict[str, Any]] = []

    def model(self, name: str, declared: int, takes: int | None = None, **says: Any) -> None:
        content = {"takes_megabytes": declared if takes is None else takes, **says}
        (self.folder / "config" / f"{name}.head").write_text(json.dumps(content))
        self.models.append(
            {
                "name": name,
                "bucket": "small",
                "declared_megabytes": declared,
                "source": {"path": f"{name}.head"},
            }
        )

    def started(self, *arguments: str, limit: int = 1000) -> subprocess.Popen[str]:
        content = {
            "models": self.models,
            "profiles": {"small": {"memory_megabytes": limit, "device": "gpu"}},
        }
        (self.folder / "config" / "models.yaml").write_text(yaml.safe_dump(content))
        argv = [sys.executable, "-m", "escalade", "models", *arguments]
        return subprocess.Popen(
            argv, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str, limit: int = 1000) -> tuple[int, str, str]:
        process = self.started(*arguments, limit=limit)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def load(self, *arguments: str, limit: int = 1000) -> tuple[int, str, str]:
        return self.run("load", "--profile", "small", "--backend", "head", *arguments, limit=limit)

    @property
    def given_back(self) -> list[str]:
        path = self.folder / "config" / "given-back"
        return path.read_text().split() if path.exists() else []

    def status(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self.run("status", "--json")[1])
        return found


@contextlib.contextmanager
def holding(
    project: Project, *arguments: str, limit: int = 1000
) -> Iterator[subprocess.Popen[str]]:
    """Hold the project's models, and give the loader that does."""
    wanted = ("load", "--profile", "small", "--backend", "head", *arguments)
    loader = project.started(*wanted, limit=limit)
    try:
        assert loader.stdout is not None
        for line in loader.stdout:
            if line.startswith("Held"):
                break
        yield loader
    finally:
        loader.terminate()
        loader.communicate(timeout=30)
