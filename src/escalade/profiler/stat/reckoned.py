"""Read the file of a session once, for the table and for the picture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from escalade.profiler.stat.buckets import Buckets
from escalade.profiler.stat.opened import opened
from escalade.profiler.stat.plot import PANELS
from escalade.profiler.stat.statistics import Statistics

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.profiler.stat.rows import Facts


@dataclass(frozen=True)
class Reckoned:
    """What a session came to.

    Parameters
    ----------
    facts
        Of the session.
    frames
        With readings.
    devices
        Names of its GPUs, in the order in which they appeared.
    by_device, by_node
        Statistics.
    gaps
        As the file names them.
    buckets
        What a picture needs, where one is wanted.
    """

    facts: Facts
    frames: int
    devices: list[str]
    by_device: dict[str, dict[str, Any]]
    by_node: dict[str, dict[str, Any]]
    gaps: list[dict[str, Any]]
    buckets: Buckets | None

    def to_json(self) -> dict[str, Any]:
        """Give all of it but the picture, with the units of the columns."""
        facts = self.facts
        return {
            "session_name": facts.name,
            "tool": facts.tool,
            "start_time": _iso(facts.start),
            "end_time": _iso(facts.end),
            "interval_ms": None if facts.interval is None else facts.interval * 1000,
            "units": dict(facts.units),
            "notes": list(facts.notes),
            "frames": self.frames,
            "summary_by_device": self.by_device,
            "summary_by_node": self.by_node,
            "gaps": self.gaps,
        }


def reckoned(path: Path, *, drawn: bool) -> Reckoned:
    """Read the file of a session.

    Parameters
    ----------
    path
        Our JSON or Parquet, or the JSON of gswarm 0.4.3.
    drawn
        Whether a picture is wanted.

    Raises
    ------
    InputError
        When it is missing, broken or something else.
    """
    with opened(path) as profile:
        statistics = Statistics(profile.facts)
        buckets = Buckets(list(PANELS)) if drawn else None
        for rows in profile.rows():
            statistics.add(rows)
            if buckets is not None:
                buckets.add(rows)
        names = profile.devices.names
        return Reckoned(
            profile.facts,
            statistics.frames,
            names,
            statistics.by_device(names),
            statistics.by_node(names),
            profile.gaps,
            buckets,
        )


def _iso(at: float | None) -> str | None:
    return (
        None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    )
