"""Records that are kept as JSON: dataclasses made again from what was written."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping


def known_fields(cls: type, content: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Give the fields of a dataclass that are in `content`; other keys are left out.

    Raises
    ------
    InputError
        When a field without a default is missing; `what` names the record.
    """
    entries = dataclasses.fields(cls)
    missing = [
        entry.name
        for entry in entries
        if entry.name not in content
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"The {what} lacks {', '.join(missing)}.")
    return {entry.name: content[entry.name] for entry in entries if entry.name in content}
