"""What runs of a session: told by its keeper, in files that nobody else writes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from escalade.errors import InfrastructureError
from escalade.files import write_json
from escalade.monitoring.prometheus_state import PrometheusState
from escalade.runtime import processes
from escalade.runtime.allocation import AllocationState, Place
from escalade.runtime.processes import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")
_LIVE, _ENDED = "live.json", "ended.json"


@dataclass(frozen=True, slots=True)
class Live:
    """A Prometheus that was started for a session.

    Parameters
    ----------
    token
        Of the start that it belongs to.
    at
        When it was ready, in Unix seconds.
    host, boot, pid, start_time
        The keeper: its machine, the boot of that, its process.
    job, node, address
        The Slurm job in which it is, its node and the address of that; no job on one machine.
    prometheus, allocation
        As `manager` and the launcher give them.
    addresses
        Hosts of the pages that could be in several places, by key.
    ports
        Of the exporters that it started, by key.
    problems
        What could not be started or found, by the page's key.
    """

    token: str
    at: float
    host: str
    boot: str
    pid: int
    start_time: int
    job: str | None
    node: str
    address: str
    prometheus: dict[str, Any]
    allocation: dict[str, Any]
    addresses: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> PrometheusState:
        """The Prometheus."""
        return PrometheusState.from_json(self.prometheus)

    @property
    def held(self) -> AllocationState:
        """The allocation on its node."""
        return AllocationState.from_json(self.allocation)

    @property
    def identity(self) -> Identity:
        """The keeper's process."""
        return Identity(self.pid, self.start_time)

    def here(self) -> bool:
        """Tell whether the keeper runs, or ran, on this machine since it was started up."""
        return self.boot == processes.boot_id() and self.host == os.uname().nodename

    def keeper_alive(self) -> bool:
        """Tell whether the keeper runs; only of one on this machine."""
        return self.here() and self.identity.alive()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function of a module on the node of Prometheus; plain JSON goes in and out.

        Raises
        ------
        InfrastructureError
            When that node can't be asked, besides what the function raises.
        """
        if self.job is None:
            if not self.here():
                raise InfrastructureError(
                    f"The session runs on {self.host}, and this is {os.uname().nodename}: give the "
                    "command there."
                )
            return function(*arguments)
        from escalade.runtime.slurm import steps  # noqa: PLC0415 - most sessions have no job

        answer: T = steps.call(self.job, Place(self.node, self.address, ()), function, *arguments)
        return answer

    def write(self, folder: Path) -> None:
        """Write it for the commands."""
        write_json(folder / _LIVE, asdict(self))


@dataclass(frozen=True, slots=True)
class Ended:
    """How the Prometheus of a start ended.

    Parameters
    ----------
    token
        Of the start.
    at
        Unix seconds.
    how
        In words: "was stopped", "was killed by SIGKILL".
    """

    token: str
    at: float
    how: str

    def write(self, folder: Path) -> None:
        """Write it for the commands."""
        write_json(folder / _ENDED, asdict(self))


def read_live(folder: Path, token: str) -> Live | None:
    """Give what runs since a start; None before it is ready."""
    content = _read(folder / _LIVE, token)
    try:
        return None if content is None else Live(**content)
    except TypeError:
        return None


def read_any_live(folder: Path) -> Live | None:
    """Give what was started last, whatever the record says."""
    try:
        token = json.loads((folder / _LIVE).read_bytes())["token"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return read_live(folder, token)


def damaged(folder: Path) -> bool:
    """Tell whether there is a keeper's file that says nothing."""
    return (folder / _LIVE).exists() and read_any_live(folder) is None


def read_ended(folder: Path, token: str) -> Ended | None:
    """Give how the Prometheus of a start ended; None while it runs, or where nobody saw it."""
    content = _read(folder / _ENDED, token)
    try:
        return None if content is None else Ended(**content)
    except TypeError:
        return None


def _read(path: Path, token: str) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("token") == token else None
