"""Where a Prometheus runs: what is kept of its start."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PrometheusState:
    """Where a Prometheus runs and what it writes.

    Parameters
    ----------
    url
        Base URL of its HTTP API.
    pid
        Its process.
    version
        As it says itself.
    config, data, log
        Its configuration file, data folder and log.
    scrape_interval_seconds
        Between two samples of a series.
    """

    url: str
    pid: int
    version: str
    config: str
    data: str
    log: str
    scrape_interval_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Give the state as plain JSON content."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        InputError
            When a key is missing.
        """
        names = [entry.name for entry in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in content]:
            raise InputError(f"The state of Prometheus lacks {', '.join(missing)}.")
        return cls(**{name: content[name] for name in names})
