"""Held jobs that wait for their next cell: one file each, taken by renaming it.

The lanes of a campaign are processes of their own, so two may reach for a job at once:
a rename succeeds for one of them only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from escalade.errors import EscaladeError
from escalade.files import write_json
from escalade.runtime.allocation import Place

if TYPE_CHECKING:
    from pathlib import Path


class Pool:
    """The held jobs of a run that no cell is using.

    Parameters
    ----------
    folder
        In the folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, job: str, places: list[Place]) -> None:
        """Offer a job, with the places of client and services, to the next cell.

        No places mean that nobody has asked its nodes yet.
        """
        content = {"job": job, "places": [place.to_json() for place in places]}
        write_json(self._folder / f"{job}.json", content)

    def jobs(self) -> list[str]:
        """Name the jobs on offer."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def take(self, job: str) -> list[Place] | None:
        """Take a job; None when another lane was quicker."""
        taken = self._folder / f"{job}.taken"
        try:
            (self._folder / f"{job}.json").rename(taken)
            content = json.loads(taken.read_bytes())
            return [Place.from_json(place) for place in content["places"]]
        except (OSError, ValueError, KeyError, TypeError, EscaladeError):
            return None
