"""What a running loader tells, and what it is asked: small files in its folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.files import read_json, write_json, write_text
from escalade.models.heads import Head
from escalade.runtime.processes import Identity, own_identity

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """What is loaded.

    Parameters
    ----------
    profile, limit_bytes
        The memory that it is loaded into.
    gpu
        Index of the GPU whose memory that is; None on the host.
    taken_bytes, method
        What all models take, and how that was measured; None where nothing is.
    heads
        In the order of loading; what was released is not in it.
    """

    profile: str
    limit_bytes: int
    gpu: str | None
    taken_bytes: int | None
    method: str | None
    heads: tuple[Head, ...]


class Board:
    """Where a loader tells what is loaded, and is asked to unload.

    Parameters
    ----------
    folder
        Of the loader.
    """

    def __init__(self, folder: Path) -> None:
        self._told = folder / "loaded.json"
        self._asked = folder / "unload"

    def tell(self, standing: Standing) -> None:
        """Write what is loaded now.

        Raises
        ------
        InfrastructureError
            When it can't be written.
        """
        loader = own_identity()
        write_json(
            self._told,
            {
                "schema": _SCHEMA,
                "pid": loader.pid,
                "start_time": loader.start_time,
                "profile": standing.profile,
                "limit_bytes": standing.limit_bytes,
                "gpu": standing.gpu,
                "taken_bytes": standing.taken_bytes,
                "method": standing.method,
                "models": [dataclasses.asdict(head) for head in standing.heads],
            },
        )

    def read(self) -> Standing | None:
        """Read what is loaded; None when no loader runs here.

        Raises
        ------
        InputError
            When the file can't be read.
        """
        if not self._told.exists():
            return None
        content = read_json(self._told, "state of the model loader")
        try:
            if content["schema"] != _SCHEMA:
                raise InputError(
                    f"{self._told}: schema {content['schema']}, expected {_SCHEMA}. Another version "
                    "of Escalade wrote it; end its loader, and load again with this one."
                )
            if not Identity(content["pid"], content["start_time"]).alive():
                return None
            return Standing(
                content["profile"],
                content["limit_bytes"],
                content["gpu"],
                content["taken_bytes"],
                content["method"],
                tuple(Head(**head) for head in content["models"]),
            )
        except (KeyError, TypeError):
            raise InputError(
                f"{self._told} is no state of a model loader. Remove it, and load again."
            ) from None

    def ask(self, name: str) -> None:
        """Ask the loader to unload a model.

        Raises
        ------
        InputError
            When no loader runs, or it has no such model.
        """
        standing = self.read()
        if standing is None:
            raise InputError(
                f"No loader runs in {self._told.parent}. Start one: escalade models load --profile …"
            )
        names = [head.name for head in standing.heads]
        if name not in names:
            raise InputError(
                f"The loader in {self._told.parent} has no model {name!r}; loaded are: "
                f"{', '.join(names) or 'none'}."
            )
        self._asked.mkdir(parents=True, exist_ok=True)
        write_text(self._asked / name, "")

    def asked(self) -> list[str]:
        """Take the names of what is to be unloaded."""
        names = []
        for wish in sorted(self._asked.glob("[!.]*")):
            wish.unlink(missing_ok=True)
            names.append(wish.name)
        return names

    def clear(self) -> None:
        """Tell that nothing is loaded any more."""
        self.asked()
        self._told.unlink(missing_ok=True)
