"""The environment's bootstrap: what needs neither network nor a new environment."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[3]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "envs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(lock: str) -> list[Requirement]:
    lines = (ROOT / lock).read_text().splitlines()
    return [Requirement(line.rstrip("\\ ")) for line in lines if line and line[0] not in " #"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_an_exact_version_and_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=[a-zA-Z0-9])", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]

    assert len(blocks) > 50
    for block in blocks:
        assert re.match(r"[\w.-]+(\[\w+\])?==\S+", block)
        assert "--hash=sha256:" in block
        assert "://" not in block


def test_the_dev_lock_adds_to_the_other_and_changes_nothing() -> None:
    runtime, dev = (set(map(str, pins(lock))) for lock in LOCKS)

    assert runtime < dev


def declared(extra: str) -> list[Requirement]:
    """Give what an extra asks for, with the extras that it stands on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = []
    for wanted in map(Requirement, project["optional-dependencies"][extra]):
        if wanted.name == project["name"]:
            found += [each for below in sorted(wanted.extras) for each in declared(below)]
        else:
            found.append(wanted)
    return [*map(Requirement, project["dependencies"]), *found]


@pytest.mark.parametrize(("lock", "extra"), [(LOCKS[0], "campaign"), (LOCKS[1], "dev")])
def test_the_lock_satisfies_what_the_project_declares(lock: str, extra: str) -> None:
    locked = {pin.name.lower().replace("_", "-"): pin for pin in pins(lock)}
    wanted = declared(extra)

    assert len(wanted) > 20
    for each in wanted:
        pin = locked[each.name.lower().replace("_", "-")]
        version = str(pin.specifier).removeprefix("==")
        assert each.specifier.contains(version, prereleases=True), f"run `make lock`: {pin}"


def test_the_model_brings_no_other_engine_along() -> None:
    assert not {"llm", "llama-cpp-python"} & {pin.name for pin in pins(LOCKS[1])}


def test_a_pin_is_cut_out_of_a_lock_with_all_its_hashes() -> None:
    lock = (
        "a==1 \\\n    --hash=sha256:1\nuv==2 ; x \\\n    --hash=sha256:2 \\\n    --hash=3\nz==1\n"
    )

    assert script("bootstrap").pin_of("uv", lock) == (
        "uv==2 ; x \\\n    --hash=sha256:2 \\\n    --hash=3\n"
    )
    assert script("bootstrap").pin_of("z", lock) == "z==1\n"


def test_what_pip_is_told_is_handed_on_to_uv(tmp_path: Path) -> None:
    settings = (
        "global.index-url='https://index.example/simple'\n"
        "global.extra-index-url='https://one.example https://two.example'\n"
        "global.cert='/before.crt'\n"
        f":env:.find-links='{tmp_path} /not/there'\n"
        ":env:.cert='/certs.crt'\n"
        "global.disable-pip-version-check='1'\n"
    )

    found = script("bootstrap").translated(settings)

    assert found["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert found["UV_INDEX"] == "https://one.example https://two.example"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert found["UV_FIND_LINKS"] == str(tmp_path)
    assert found["SSL_CERT_FILE"] == "/certs.crt"


def test_the_newest_pip_wheel_that_will_do_is_taken(tmp_path: Path) -> None:
    for version in ("9.0.1", "22.2", "23.0.1", "22.3"):
        (tmp_path / f"pip-{version}-py3-none-any.whl").touch()
    bootstrap = script("bootstrap")

    assert bootstrap._newest_pip(tmp_path).name.startswith("pip-23.0.1")
    (tmp_path / "pip-23.0.1-py3-none-any.whl").unlink()
    (tmp_path / "pip-22.3-py3-none-any.whl").unlink()
    assert bootstrap._newest_pip(tmp_path) is None


def test_an_environment_fits_only_the_lock_it_was_made_from(tmp_path: Path) -> None:
    bootstrap = script("bootstrap")
    environment = bootstrap.Environment(tmp_path)
    environment.python.parent.mkdir()
    environment.python.symlink_to(sys.executable)
    assert not environment.fits(dev=False)

    with environment.building(dev=False):
        assert not environment.fits(dev=False)
    assert environment.fits(dev=False)
    assert not environment.fits(dev=True)

    with environment.building(dev=True):
        pass
    assert environment.fits(dev=False)  # the larger one serves for both
    assert environment.fits(dev=True)

    stamp = tmp_path / "escalade-environment.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "lock": "another"}))
    assert not environment.fits(dev=True)
    assert environment.usable()


def test_an_environment_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    bootstrap = script("bootstrap")
    environment = bootstrap.Environment(tmp_path / "venv")
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    with pytest.raises(KeyboardInterrupt), environment.building(dev=True):
        raise KeyboardInterrupt

    assert not environment.usable()
    assert not environment.fits(dev=False)
    assert not environment.adopt()


def test_a_moved_environment_is_made_anew(tmp_path: Path) -> None:
    bootstrap = script("bootstrap")
    environment = bootstrap.Environment(tmp_path)
    environment.python.parent.mkdir()
    environment.python.symlink_to(sys.executable)
    with environment.building(dev=True):
        pass
    stamp = tmp_path / "escalade-environment.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "root": "/elsewhere"}))

    assert not environment.usable()


def test_what_an_environment_lacks_is_named() -> None:
    lock = (
        "pytest==0.0.1 \\\n    --hash=sha256:1\nnosuch==1\nuv==0.0.1\nalso==1 ; sys_platform=='x'\n"
    )

    assert script("verify").differences(lock) == [
        f"pytest is {pytest.__version__}, the lock has ==0.0.1",
        "nosuch is missing, the lock has ==1",
    ]


def find_python(python: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "envs" / "find_python.sh"],
        env={"PATH": path or os.environ["PATH"], "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_is_new_enough_is_found() -> None:
    assert find_python(sys.executable).stdout.strip() == sys.executable
    assert find_python("").returncode == 0


def test_a_python_that_is_too_old_is_named_with_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)

    for done in (find_python(str(old)), find_python("", path=f"{tmp_path}:/bin/missing")):
        assert done.returncode == 2
        assert "3.11 or newer" in done.stderr
        assert "make PYTHON=/path/to/python3.12" in done.stderr
