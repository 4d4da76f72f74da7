"""What an extra installs is enough for what it promises."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMISED = {
    "node": [
        "escalade.cli.gpu.exporting",
        "escalade.cli.profile.attaching",
        "escalade.cli.profile.connecting",
        "escalade.cli.profile.recording",
        "escalade.gpu.exporter",
        "escalade.profiler.attached",
        "escalade.profiler.head.folder",
        "escalade.profiler.node.agent",
        "escalade.profiler.recorder",
        "escalade.runtime.tools",
    ],
    "analysis": [
        "escalade.cli.comparisons",
        "escalade.cli.history",
        "escalade.cli.profile.stat",
        "escalade.cli.reports",
        "escalade.campaign.reporting",
        "escalade.campaign.comparing",
        "escalade.profiler.outputs",
        "escalade.profiler.stat.plot",
        "escalade.profiler.stat.reckoned",
        "escalade.replay",
        "escalade.report.page",
    ],
}
# Refuses whatever the extra does not install, as an environment that has nothing else would.
BLOCKED = """
import importlib.abc, importlib, json, sys
allowed, modules = json.loads(sys.argv[1])
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if path is None and name not in {*allowed, *sys.stdlib_module_names} and name[0] != "_":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nothing())
for module in modules:
    importlib.import_module(module)
"""


def needed(
    project: str, extra: str = "", seen: set[tuple[str, str]] | None = None
) -> Iterator[str]:
    """Name the projects that an installation brings, with all that they need."""
    seen = set() if seen is None else seen
    if (project, extra) in seen:
        return
    seen.add((project, extra))
    yield project
    try:
        wants = importlib.metadata.requires(project) or ()
    except (
        importlib.metadata.PackageNotFoundError
    ):  # the lock leaves it out: pyproject.toml says why
        wants = ()
    for text in wants:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            name = re.sub(r"[-_.]+", "-", wanted.name).lower()
            for each in ("", *wanted.extras):
                yield from needed(name, each, seen)


@pytest.mark.parametrize("extra", PROMISED)
def test_an_extra_installs_all_that_its_commands_import(extra: str) -> None:
    projects = {*needed("escalade", extra)}
    brought = [
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & projects
    ]
    assert "typer" in brought
    allowed = [*brought, "escalade", "cython_runtime"]

    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, json.dumps([allowed, PROMISED[extra]])],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_node_extra_is_small() -> None:
    projects = {*needed("escalade", "node")}

    assert {"nvidia-ml-py", "prometheus-client", "typer"} <= projects
    assert not projects & {"numpy", "pandas", "fastapi", "locust", "snakemake"}


def test_the_campaign_extra_holds_all_others() -> None:
    campaign = {*needed("escalade", "campaign")}

    assert {*needed("escalade", "node")} | {*needed("escalade", "analysis")} <= campaign


def test_a_command_that_needs_another_extra_names_it() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None; sys.argv = ['escalade', 'history', 'x'];"
        "from escalade.cli.main import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 3
    assert "pip install 'escalade[campaign]'" in done.stderr
    assert "Traceback" not in done.stderr
