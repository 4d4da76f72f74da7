"""The spool of an allocation: what launchers and holder tell each other, as small files.

For a step NAME, in the folder `steps` of the allocation:

`NAME.request.json`
    the launcher asks for the step: its token and spec;
`NAME.started.json`
    the holder runs it: token, the `StepState`, and the kernel start time of the pid;
`NAME.stop.json`
    the launcher wants it ended: the token;
`NAME.ended.json`
    the step has ended: token, the `StepState`, and `cleared`, true once nothing
    that it started is left.

A token tells apart the steps that had the same name one after the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.files import write_json
from escalade.runtime.steps import StepState

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Note:
    """A spool file as read: the token of its step, and all it says."""

    token: str
    content: dict[str, Any]

    @property
    def state(self) -> StepState:
        """The state of the step, where the file holds one."""
        return StepState.from_json(self.content)


@dataclass(frozen=True, slots=True)
class Spool:
    """The spool folder of one allocation.

    Parameters
    ----------
    folder
        `steps` in the folder of the allocation.
    """

    folder: Path

    def write(self, name: str, kind: str, token: str, content: dict[str, Any]) -> None:
        """Write the note `kind` of the step `name`, whole or not at all."""
        write_json(self.folder / f"{name}.{kind}.json", {**content, "token": token})

    def read(self, name: str, kind: str) -> Note | None:
        """Read the note `kind` of the step `name`; None when there is none."""
        return _read(self.folder / f"{name}.{kind}.json")

    def forget(self, name: str) -> None:
        """Remove all notes of the step `name`."""
        for path in self.folder.glob(f"{name}.*.json"):
            if path.name.count(".") == name.count(".") + 2:
                path.unlink(missing_ok=True)

    def notes(self, kind: str) -> dict[str, Note]:
        """Read the notes of that kind of all steps, by the step's name."""
        suffix = f".{kind}.json"
        found = {
            path.name.removesuffix(suffix): _read(path)
            for path in sorted(self.folder.glob(f"*{suffix}"))
            if not path.name.startswith(".")
        }
        return {name: note for name, note in found.items() if note is not None}


def _read(path: Path) -> Note | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("token"), str):
        return None
    return Note(content["token"], content)
