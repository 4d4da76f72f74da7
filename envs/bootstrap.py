"""Make the environment from the lock file: `python3 envs/bootstrap.py [--dev]`.

Needs nothing but Python: pip comes from the wheel that Python or the distribution
ships, installs the pinned uv, and uv installs the rest, ten times as fast; where uv
fails, pip does it. An environment that fits the lock is used as it is.
"""
# ruff: noqa: INP001 - run by path, no package

from __future__ import annotations

import argparse
import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import types
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {False: ROOT / "requirements.lock", True: ROOT / "requirements-dev.lock"}
NEWER_THAN_WHEELS = (3, 14)
OPENMP = "libgomp.so.1"
OLDEST_PIP = (22, 3)
"""The first that can install into another environment."""

_UNREACHABLE = re.compile(
    "Connection refused|Network is unreachable|Name or service not known"
    "|Temporary failure in name resolution|No route to host|timed out"
)

# What pip is told, and where uv looks for the same.
UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


class BootstrapError(Exception):
    """The environment can't be made; the message says why and what to do."""


class NetworkError(BootstrapError):
    """No package index could be reached."""


class Environment:
    """An environment and the record of what it was made from.

    Parameters
    ----------
    folder
        The virtual environment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._stamp = folder / "escalade-environment.json"
        self._building = folder / "escalade-unfinished"

    def fits(self, *, dev: bool) -> bool:
        """Tell whether it was made from the locks as they are; a dev one serves for both."""
        made = self._made()
        return any(made == self._wanted(dev=kind) for kind in ({True, dev}))

    def is_dev(self) -> bool:
        """Tell whether it holds what developers need."""
        return bool(self._made().get("dev"))

    def adopt(self) -> bool:
        """Accept an environment that someone else made, if it holds all of a lock."""
        if self._stamp.exists() or self._building.exists() or not self._runs_escalade():
            return False
        for dev in (True, False):
            check = [self.python, ROOT / "envs" / "verify.py", LOCKS[dev]]
            if subprocess.run(check, stdout=subprocess.DEVNULL, check=False).returncode == 0:
                self._write_stamp(dev=dev)
                return True
        return False

    def usable(self) -> bool:
        """Tell whether it can be brought up to date rather than made anew."""
        whole = self._stamp.exists() and not self._building.exists()
        return whole and self._made().get("root") == str(ROOT) and self.python.exists()

    @contextlib.contextmanager
    def building(self, *, dev: bool) -> Iterator[None]:
        """Mark it as unfinished until the block has ended well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._building.touch()
        self._stamp.unlink(missing_ok=True)
        yield
        self._write_stamp(dev=dev)
        self._building.unlink()

    def _runs_escalade(self) -> bool:
        where = "import escalade, pathlib; print(pathlib.Path(escalade.__file__).parents[2])"
        with contextlib.suppress(OSError):
            said = subprocess.run(
                [self.python, "-P", "-c", where], capture_output=True, text=True, check=False
            )
            return said.stdout.strip() == str(ROOT)
        return False

    def _wanted(self, *, dev: bool) -> dict[str, object]:
        return {
            "dev": dev,
            "root": str(ROOT),
            "lock": _sha256(LOCKS[dev]),
            "project": _project_sha256(),
        }

    def _made(self) -> dict[str, object]:
        try:
            return dict(json.loads(self._stamp.read_bytes())) if self.python.exists() else {}
        except (OSError, ValueError, TypeError):
            return {}

    def _write_stamp(self, *, dev: bool) -> None:
        temporary = self._stamp.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._wanted(dev=dev)), encoding="ascii")
        temporary.replace(self._stamp)


def make(environment: Environment, *, dev: bool) -> None:
    """Bring the environment to what the lock says, from scratch where need be."""
    begun = time.monotonic()
    dev = dev or environment.is_dev()
    fresh = not environment.usable()
    say(f"{'Making' if fresh else 'Updating'} {environment.folder} from {LOCKS[dev].name} ...")
    with environment.building(dev=dev):
        if fresh:
            _clear(environment.folder)
            venv.create(environment.folder, with_pip=False, symlinks=True)
        pip = [str(environment.python), str(pip_wheel() / "pip"), "--disable-pip-version-check"]
        _install(environment, pip, LOCKS[dev])
        _compile(environment)
        _provide_openmp(environment)
    say(f"{environment.folder} is ready ({time.monotonic() - begun:.0f} s).")


def _clear(folder: Path) -> None:
    """Remove what is in the environment, but not the mark that it is unfinished."""
    for entry in folder.iterdir():
        if entry.name == "escalade-unfinished":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _install(environment: Environment, pip: list[str], lock: Path) -> None:
    """Install the lock with uv, else with pip, and then Escalade itself, editable."""
    settings = {**uv_settings(pip), **os.environ}
    uv = [str(environment.folder / "bin" / "uv"), "--quiet", "--no-progress", "pip"]
    python = ["--python", str(environment.python)]
    itself = ["install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    try:
        _install_uv(uv[0], pip, pin_of("uv", lock.read_text(encoding="utf-8")))
        _run([*uv, "sync", *python, "--require-hashes", str(lock)], settings)
        _run([*uv, *itself[:1], *python, *itself[1:]], settings)
    except NetworkError:
        raise
    except BootstrapError as error:
        say(f"{error}\nuv could not do it; pip takes over, which takes longer.")
        _run([*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)])
        _run([*pip, "--quiet", *itself])


def _compile(environment: Environment) -> None:
    """Compile Escalade once, as the packages are.

    Under PYTHONDONTWRITEBYTECODE Python would compile all that it imports at every
    start: a stage of a campaign then takes three seconds more.
    """
    _run([str(environment.python), "-m", "compileall", "-q", str(ROOT / "src")])


def _install_uv(uv: str, pip: list[str], pin: str) -> None:
    with contextlib.suppress(OSError):
        said = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False)
        if pin.startswith(f"uv=={(said.stdout.split() or ['', ''])[1]} "):
            return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.write(pin)
        pinned.flush()
        _run([*pip, "install", "--quiet", "--no-deps", "--require-hashes", "-r", pinned.name])


def pin_of(package: str, lock: str) -> str:
    """Give the lines of one package in a lock file, with its hashes."""
    lines = lock.splitlines(keepends=True)
    first = next(index for index, line in enumerate(lines) if line.startswith(f"{package}=="))
    last = next(
        (index for index in range(first + 1, len(lines)) if not lines[index].startswith(" ")),
        len(lines),
    )
    return "".join(lines[first:last])


def uv_settings(pip: list[str]) -> dict[str, str]:
    """Hand on what pip was told about indexes and certificates: uv reads none of it."""
    said = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    return translated(said.stdout)


def translated(settings: str) -> dict[str, str]:
    """Translate the output of `pip config list` into uv's environment variables."""
    found: dict[str, str] = {}
    for line in settings.splitlines():
        key, _, quoted = line.partition("=")
        name = key.rpartition(".")[2]
        if name in UV_SETTINGS:
            words = str(ast.literal_eval(quoted)).split()
            if name == "find-links":  # uv fails where pip only warns
                words = [word for word in words if "://" in word or Path(word).exists()]
            separator = "," if name == "find-links" else " "
            found[UV_SETTINGS[name]] = separator.join(words)
    if "UV_INDEX" in found:  # as pip: all indexes are asked, and the hashes decide
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if not os.access(Path.home(), os.W_OK):
        found["UV_CACHE_DIR"] = str(ROOT / ".tools" / "uv")
    ours = {"UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": _link_mode()}
    return {**ours, "UV_COMPILE_BYTECODE": "1", **found}


def _link_mode() -> str:
    """Link from the cache where that is possible, else copy, without a warning for each."""
    cache = Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache")
    with contextlib.suppress(OSError):
        while not cache.exists():
            cache = cache.parent
        return "hardlink" if cache.stat().st_dev == ROOT.stat().st_dev else "copy"
    return "copy"


def pip_wheel() -> Path:
    """Find pip as a wheel, which Python runs as it is.

    Python ships one in ensurepip; Debian moves it into a package of its own, which
    is fetched without root where it is not installed.
    """
    folders = [Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels")]
    bundled = importlib.util.find_spec("ensurepip")
    if bundled is not None and bundled.origin:
        folders.insert(0, Path(bundled.origin).parent / "_bundled")
    unpacked = ROOT / ".tools" / "pip"
    folders.append(unpacked / "usr" / "share" / "python-wheels")
    for folder in folders:
        if wheel := _newest_pip(folder):
            return wheel
    _unpack_pip(unpacked)
    if wheel := _newest_pip(folders[-1]):
        return wheel
    raise BootstrapError(f"{unpacked} holds no pip of at least {OLDEST_PIP}.")


def _newest_pip(folder: Path) -> Path | None:
    """Give the newest wheel of pip in a folder, as ("23.0.1", path) would sort."""
    wheels = {}
    for wheel in folder.glob("pip-*.whl"):
        version = tuple(int(part) for part in wheel.name.split("-")[1].split(".") if part.isdigit())
        wheels[version] = wheel
    newest = max(wheels, default=())
    return wheels[newest] if newest >= OLDEST_PIP else None


def _unpack_pip(into: Path) -> None:
    say("This Python has no pip: fetching the distribution's package python3-pip-whl.")
    try:
        _unpack_package("python3-pip-whl", into)
    except BootstrapError as error:
        raise BootstrapError(
            f"This Python ({sys.executable}) has neither ensurepip nor pip, and the "
            f"distribution's package could not be fetched: {error}.\n"
            "Install it (apt-get install python3-venv), or name another Python: "
            "make PYTHON=/path/to/python3.12 ..."
        ) from error


def _provide_openmp(environment: Environment) -> None:
    """Give the environment the OpenMP library, where a minimal system has none.

    llama.cpp needs it and its wheel expects the system's. Loaded by Python as it
    starts, it is found by its name when llama.cpp asks for it.
    """
    probe = [environment.python, "-c", f"import ctypes; ctypes.CDLL({OPENMP!r})"]
    if subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return
    say(f"This system has no {OPENMP}: fetching the distribution's package libgomp1.")
    unpacked = ROOT / ".tools" / "libgomp"
    try:
        _unpack_package("libgomp1", unpacked)
    except BootstrapError as error:
        say(f"It could not be fetched ({error}).\nThe demo's service will not start without it.")
        return
    found = next(unpacked.rglob(OPENMP))
    shutil.copy(found, environment.folder / "lib" / OPENMP)
    loader = f"import ctypes, sys; ctypes.CDLL(sys.prefix + '/lib/{OPENMP}', ctypes.RTLD_GLOBAL)\n"
    for packages in environment.folder.glob("lib/python*/site-packages"):
        (packages / "escalade-openmp.pth").write_text(loader, encoding="ascii")


def _unpack_package(package: str, into: Path) -> None:
    """Unpack a package of the distribution, by the library's own means."""
    if "escalade" not in sys.modules:  # not installed yet, so that its version is unknown
        stand_in = types.ModuleType("escalade")
        stand_in.__path__ = [str(ROOT / "src" / "escalade")]
        sys.modules["escalade"] = stand_in
    from escalade.errors import EscaladeError  # noqa: PLC0415
    from escalade.runtime.distribution import Distribution  # noqa: PLC0415

    try:
        Distribution(ROOT / ".tools" / "apt").unpack(package, into)
    except EscaladeError as error:
        raise BootstrapError(str(error)) from error


def _run(command: list[str], settings: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env=settings,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        close_fds=False,
    )
    if done.returncode == 0:
        return
    if _UNREACHABLE.search(done.stderr) and "pip" in Path(command[1]).name:
        raise NetworkError(
            f"No package index can be reached ({_UNREACHABLE.findall(done.stderr)[-1]}).\n"
            "It is needed once: try again where there is a network, or tell pip of a proxy or of "
            "an index of your own (pip config set global.proxy ..., global.index-url ...)."
        )
    said = "\n".join(done.stderr.strip().splitlines()[-8:])
    raise BootstrapError(f"{Path(command[0]).name} exited with code {done.returncode}:\n{said}")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process makes an environment of this project.

    Installers inherit the lock: should this process be killed, the next one waits
    for them before it begins anew.
    """
    with (ROOT / "pyproject.toml").open("rb") as project:
        os.set_inheritable(project.fileno(), True)  # noqa: FBT003
        fcntl.flock(project, fcntl.LOCK_EX)
        yield


def _project_sha256() -> str:
    """Hash what the installed metadata is made from, not the settings of linters."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = {name: content.get(name) for name in ("project", "build-system")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    """Make the environment if it does not fit; 3 when that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="with what `make test` needs")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="default: .venv")
    options = parser.parse_args()
    environment = Environment(options.venv.absolute())
    if environment.fits(dev=options.dev):
        return 0
    try:
        with alone():
            environment.adopt()
            if not environment.fits(dev=options.dev):
                make(environment, dev=options.dev)
    except BootstrapError as error:
        say(f"The environment could not be made. {error}")
        if sys.version_info >= NEWER_THAN_WHEELS and not isinstance(error, NetworkError):
            say("Not every package has a wheel for this Python yet: try make PYTHON=python3.13 ...")
        return 3
    except OSError as error:
        say(f"The environment could not be made: {error.filename}: {error.strerror}.")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
