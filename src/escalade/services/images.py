"""What a service runs from: the image with its digest, or the program of the machine with its own.

It is read once the service is ready, on its node: before that it would warm the cache of files
that the start of the service is timed with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.services.containers import PROGRAM, in_login_shell

if TYPE_CHECKING:
    from collections.abc import Sequence

_READ_WITHIN_SECONDS = 60.0
_TOLD_WITHIN_SECONDS = 20.0
_CHUNK = 1 << 22
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})\b")
_BUILT = "org.label-schema.usage.singularity.deffile."
"""Labels of a SIF file under which Apptainer and Singularity keep what it was built from."""


def ran_from(image: str, program: str, setup: Sequence[str] = ()) -> dict[str, Any]:
    """Say what a command runs from; what can't be had is null, and says why.

    Parameters
    ----------
    image
        Path or reference as Apptainer is given it; empty where there is none.
    program
        First word of the command, as on this node.
    setup
        Shell lines of the site, after which Apptainer is on PATH.

    Returns
    -------
    dict
        `image` with `reference`, and of a file `sha256`, `size_bytes`, `labels` and `source` (what it
        was built from); of a reference `digest` where it names one. Without an image `binary` with
        `path` and `sha256`. `why` says what is missing.
    """
    if not image:
        return {"binary": _binary(program)}
    if "://" in image:
        return {"image": _reference(image)}
    return {"image": _file(Path(image), setup)}


def _reference(image: str) -> dict[str, Any]:
    """Tell a reference: only one that names a digest says what is in it."""
    found = _DIGEST.search(image)
    told = {"reference": image, "digest": found[1] if found else None}
    why = "a tag may name another image tomorrow: write IMAGE@sha256:…"
    return told if found else {**told, "why": why}


def _file(path: Path, setup: Sequence[str]) -> dict[str, Any]:
    if path.is_dir():
        why = "a sandbox is a folder that may change, and has no digest: build a SIF file of it"
        return {"reference": str(path), "sha256": None, "why": why}
    told, reasons = _hashed(path)
    labels, silent = _labels(path, setup)
    reasons += [silent] if silent else []
    return {
        "reference": str(path),
        **told,
        "labels": labels,
        "source": None if labels is None else _source(labels),
        **({"why": "; ".join(reasons)} if reasons else {}),
    }


def _binary(program: str) -> dict[str, Any]:
    found = shutil.which(program)
    if found is None:
        return {"path": program, "sha256": None, "why": "it is not on PATH outside the service"}
    told, reasons = _hashed(Path(os.path.realpath(found)))
    return {"path": found, **told, **({"why": "; ".join(reasons)} if reasons else {})}


def _hashed(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Give SHA-256 and size of a file, or why they can't be had."""
    deadline = time.monotonic() + _READ_WITHIN_SECONDS
    digest = hashlib.sha256()
    unknown = {"sha256": None, "size_bytes": None}
    try:
        size = path.stat().st_size
        with path.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                digest.update(chunk)
                if time.monotonic() > deadline:
                    late = f"its SHA-256 was not read within {_READ_WITHIN_SECONDS:g} s"
                    return {**unknown, "size_bytes": size}, [late]
    except OSError as error:
        return unknown, [f"it can't be read ({error.strerror})"]
    return {"sha256": digest.hexdigest(), "size_bytes": size}, []


def _labels(path: Path, setup: Sequence[str]) -> tuple[dict[str, str] | None, str]:
    """Ask Apptainer for the labels of a SIF file; without an answer give the reason."""
    command = in_login_shell(setup, (PROGRAM, "inspect", "--json", str(path)))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TOLD_WITHIN_SECONDS, check=False
        )
    except FileNotFoundError:
        return None, f"its labels are not known: there is no {PROGRAM} on PATH"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"its labels are not known: {PROGRAM} inspect gave no answer ({error})"
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return (
            None,
            f"its labels are not known: {PROGRAM} inspect ended with {done.returncode}: {said}",
        )
    try:
        found = json.loads(done.stdout)["data"]["attributes"]["labels"] or {}
        return {str(name): str(value) for name, value in found.items()}, ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, f"its labels are not known: {PROGRAM} inspect printed no labels"


def _source(labels: dict[str, str]) -> str | None:
    """Give what an image was built from, as in docker://vllm/vllm-openai:v0.8.4."""
    origin = labels.get(f"{_BUILT}from")
    if not origin:
        return None
    return f"{labels.get(f'{_BUILT}bootstrap', 'docker')}://{origin}"
