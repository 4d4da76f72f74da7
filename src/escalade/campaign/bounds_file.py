"""The file bounds.json: what a cell's upper bounds are computed from, as it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.errors import InputError
from escalade.files import read_json

if TYPE_CHECKING:
    from pathlib import Path

BOUNDS, BOUNDS_SCHEMA = "inputs of a cell's bounds", 1


def read_bound_inputs(path: Path) -> dict[str, Any]:
    """Read bounds.json; nothing where there is none: a cell of an earlier release.

    Raises
    ------
    InputError
        When it is damaged, or of a later release.
    """
    if not path.exists():
        return {}
    content = read_json(path, BOUNDS)
    known = isinstance(content, dict) and content.get("schema") == BOUNDS_SCHEMA
    parts = ("recipe", "cpu", "model") if known else ()
    if not known or any(not isinstance(content.get(part) or {}, dict) for part in parts):
        raise InputError(
            f"{BOUNDS}: {path} is not what this Escalade wrote (expected schema {BOUNDS_SCHEMA}). Update "
            "Escalade, or restore the file: `escalade verify` tells whether it was edited."
        )
    found: dict[str, Any] = content
    return found
