"""Seconds from the start of a container until it has ended: `true` inside an image.

Without an image the host's own `true` and its libraries are made one: a folder for
Apptainer and Singularity, an imported image for Podman and Docker, removed in the end.
"""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.suites.programs import pacing

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES = ("apptainer", "singularity", "podman", "docker")
_WITH_FOLDERS = ("apptainer", "singularity")
_FIRST_START_SECONDS = 120.0


def main() -> None:
    """Print the time of each start, in s."""
    parser = pacing.parser("container_spawn", "Start `true` in a container, wait for its end.")
    parser.add_argument("--engine", default="any", choices=("any", *ENGINES))
    parser.add_argument("--image", default="", help="with `true` in it; the host's own by default")
    options = parser.parse_args()
    engine = _engine(options.engine)
    with tempfile.TemporaryDirectory(prefix="escalade-container-") as scratch:
        image = options.image or _image(engine, Path(scratch))
        try:
            _measure(options, command(engine, image))
        finally:
            if not options.image and engine not in _WITH_FOLDERS:
                _quietly(engine, "image", "rm", "--force", image)


def command(engine: str, image: str) -> list[str]:
    """Give the words that start `true` in a container of an engine."""
    if engine in _WITH_FOLDERS:
        return [engine, "exec", "--cleanenv", "--no-mount", "home,cwd", image, "true"]
    return [engine, "run", "--rm", "--network", "none", "--pull", "never", image, "true"]


def _engine(wanted: str) -> str:
    names = ENGINES if wanted == "any" else (wanted,)
    found = next((name for name in names if shutil.which(name)), None)
    if found is None:
        pacing.unavailable(f"no container engine on PATH: looked for {', '.join(names)}")
    return found


def _measure(options: object, words: Sequence[str]) -> None:
    try:
        first = _quietly(*words, seconds=_FIRST_START_SECONDS)
    except subprocess.TimeoutExpired:
        pacing.unavailable(f"{words[0]} did not start a container in {_FIRST_START_SECONDS:g} s")
    if first.returncode:
        pacing.unavailable(f"{words[0]} is there, but starts no container here: {_said(first)}")

    def once() -> float:
        began = time.perf_counter()
        ended = _quietly(*words)
        seconds = time.perf_counter() - began
        if ended.returncode:
            pacing.fail(f"{words[0]} ended with {ended.returncode}: {_said(ended)}")
        return seconds

    pacing.measure(options, once)  # type: ignore[arg-type]


def _image(engine: str, scratch: Path) -> str:
    """Make an image of the host's `true` and the libraries that it needs."""
    root = scratch / "root"
    for name in ("dev", "etc", "proc", "root", "run", "sys", "tmp", "var/tmp", "bin", "home"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("passwd", "group", "hosts", "resolv.conf"):
        (root / "etc" / name).touch()
    program = shutil.which("true")
    if program is None:
        pacing.unavailable("there is no program `true` on PATH to make an image of")
    shutil.copy(program, root / "bin" / "true")
    for library in _libraries(program):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    if engine in _WITH_FOLDERS:
        return str(root)
    archive = scratch / "root.tar"
    with tarfile.open(archive, "w") as written:
        written.add(root, arcname=".")
    name = f"escalade-spawn:{secrets.token_hex(4)}"
    made = _quietly(engine, "import", str(archive), name)
    if made.returncode:
        pacing.unavailable(f"{engine} is there, but takes no image: {_said(made)}")
    return name


def _libraries(program: str) -> list[str]:
    """Name the shared libraries of a program; none for one that is whole by itself."""
    if shutil.which("ldd") is None:
        return []
    said = _quietly("ldd", program).stdout
    return sorted(set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", said, flags=re.MULTILINE)))


def _quietly(*words: str, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds,
    )


def _said(ended: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in ended.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"it ended with {ended.returncode}"


if __name__ == "__main__":
    pacing.run(main)
