"""Tools from the distribution's real packages, as whoever runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from escalade.errors import InfrastructureError, ToolMissingError
from escalade.runtime import tool_sources, tools
from escalade.runtime.distribution import Distribution

SYSTEM = Path("/var/lib/apt/lists")


@pytest.fixture
def apt() -> None:
    """Skip where there is no apt-get, unless ESCALADE_REQUIRE insists on it."""
    if shutil.which("apt-get") is None:
        if "apt" in os.environ.get("ESCALADE_REQUIRE", "").split(","):
            pytest.fail("ESCALADE_REQUIRE names apt, and there is no apt-get here")
        pytest.skip("no apt-get here: no Debian or Ubuntu")


def reachable(folder: Path) -> None:
    """Skip without a network, unless ESCALADE_REQUIRE insists on apt."""
    try:
        Distribution(folder).unpack("hostname", folder / "probe")
    except InfrastructureError as error:
        if "apt" in os.environ.get("ESCALADE_REQUIRE", "").split(","):
            pytest.fail(f"ESCALADE_REQUIRE names apt, but it does not work: {error}")
        pytest.skip(f"apt-get does not work here: {error}")


@pytest.mark.usefixtures("apt")
def test_a_package_is_unpacked_without_touching_the_system_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable(tmp_path / "tools" / "apt")
    monkeypatch.setenv(tools.FOLDER_VARIABLE, str(tmp_path / "tools"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if shutil.which("prometheus-node-exporter"):
        pytest.skip("the package is installed: PATH wins")
    before = sorted(path.stat().st_mtime_ns for path in SYSTEM.iterdir())

    found = tools.ensure("node_exporter")

    assert found.origin == "distribution"
    assert found.path.is_relative_to(tmp_path)
    said = subprocess.run([found.path, "--version"], capture_output=True, text=True, check=True)
    assert f"version {found.version} " in said.stdout + said.stderr
    assert sorted(path.stat().st_mtime_ns for path in SYSTEM.iterdir()) == before


@pytest.mark.usefixtures("apt")
def test_a_package_that_does_not_exist_is_named(tmp_path: Path) -> None:
    reachable(tmp_path)
    with pytest.raises(InfrastructureError, match="no-such-package-at-all"):
        Distribution(tmp_path).unpack("no-such-package-at-all", tmp_path / "into")


def test_without_network_one_screen_says_what_was_tried_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tools.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setitem(tool_sources.SOURCES, "promtool", _unheard_of())

    with pytest.raises(ToolMissingError) as raised:
        tools.ensure("promtool")

    message = str(raised.value)
    for word in ("PATH", "tools folder", "distribution", "release", "make tools", "ESCALADE_TOOLS"):
        assert word in message
    assert "Connection refused" in message
    assert len(message.splitlines()) <= 24
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".unpacking")]


def _unheard_of() -> tool_sources.Source:
    """Give promtool under a name that no machine has on PATH."""
    return replace(tool_sources.SOURCES["promtool"], commands=("promtool-of-nobody",))
