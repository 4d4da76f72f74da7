"""The nodes of a head: who sends, since when nothing came, how far a clock is off."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.errors import ConflictError
from escalade.files import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_SECONDS = 30.0
"""A node of which nothing came for so long is unhealthy."""
_TAKEN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Node:
    """What is known of one node.

    Parameters
    ----------
    name
        Unique in its head.
    instance
        Of its agent: the same again when the agent was started again on its queue.
    gpus
        How many it reads.
    greeted
        Unix seconds by the clock of the head: when its agent last spoke, if only to say who it is.
    last_seen
        When it last sent something; 0: never.
    clock_offset_seconds
        How far its clock is ahead of the head's; None: not measured.
    queue_bytes
        What waited in its queue when it last sent something.
    rejected
        Requests that Prometheus refused for good.
    left
        Whether its agent said goodbye.
    """

    name: str
    instance: str
    gpus: int
    greeted: float
    last_seen: float = 0.0
    clock_offset_seconds: float | None = None
    queue_bytes: int | None = None
    rejected: int = 0
    left: bool = False

    def healthy(self, now: float) -> bool:
        """Tell whether something came from it in the last 30 s."""
        return not self.left and now - self.last_seen <= PATIENCE_SECONDS


class Nodes:
    """All nodes that were ever connected.

    Parameters
    ----------
    file
        Where they are kept.
    say
        Gets one line when a node falls silent or comes back.
    """

    def __init__(self, file: Path, say: Callable[[str], object]) -> None:
        self._file = file
        self._say = say
        self._lock = threading.Lock()
        self._nodes = _read(file)
        self._silent = {it.name for it in self._nodes.values() if not it.healthy(time.time())}

    def all(self) -> list[Node]:
        """Give all nodes by their names."""
        with self._lock:
            return sorted(self._nodes.values(), key=lambda node: node.name)

    def connect(self, name: str, instance: str, gpus: int, offset: float) -> None:
        """Take a node in.

        Raises
        ------
        ConflictError
            When another agent sends by this name.
        """
        now = time.time()
        with self._lock:
            known = self._nodes.get(name)
            alive = known is not None and not known.left and now - known.greeted < _TAKEN_SECONDS
            if known is not None and alive and known.instance != instance:
                raise ConflictError(
                    f"Another agent sends as node {name!r} (last {now - known.greeted:.0f} s ago). "
                    "End it, or connect by another name (`--name`)."
                )
            self._nodes[name] = dataclasses.replace(
                known or Node(name, instance, gpus, now),
                instance=instance,
                gpus=gpus,
                greeted=now,
                clock_offset_seconds=offset,
                left=False,
            )
            self._write()
        if gpus and not (alive and known is not None and known.gpus == gpus):
            self._say(f"{name}: connected, {gpus} GPUs, clock {offset:+.3f} s")

    def leave(self, name: str, instance: str) -> None:
        """Take note that a node's agent has ended in order."""
        with self._lock:
            known = self._nodes.get(name)
            if known is None or known.instance != instance:
                return
            self._nodes[name] = dataclasses.replace(known, left=True)
            self._write()
        self._say(f"{name}: disconnected")

    def sent(self, name: str, offset: float | None, queue: int | None, *, taken: bool) -> None:
        """Take note that something came from a node."""
        with self._lock:
            now = time.time()
            known = self._nodes.get(name) or Node(name, "", 0, now)
            rejected = known.rejected + (not taken)
            self._nodes[name] = dataclasses.replace(
                known,
                greeted=now,
                last_seen=now,
                clock_offset_seconds=known.clock_offset_seconds if offset is None else offset,
                queue_bytes=queue,
                rejected=rejected,
                left=False,
            )
            back = name in self._silent
            self._silent.discard(name)
        if back:
            self._say(f"{name}: is back")
        if not taken:
            self._say(f"{name}: Prometheus refused a block of its readings for good; see its log")

    def look(self) -> None:
        """Notice nodes that have fallen silent; to be called every few seconds."""
        now = time.time()
        with self._lock:
            silent = {
                it.name
                for it in self._nodes.values()
                if not it.left and now - it.greeted > PATIENCE_SECONDS
            }
            new, self._silent = silent - self._silent, silent
            self._write()
        for name in sorted(new):
            self._say(f"{name}: nothing came for {PATIENCE_SECONDS:g} s: unhealthy")

    def _write(self) -> None:
        content = [dataclasses.asdict(node) for node in self._nodes.values()]
        write_json(self._file, {"schema": 1, "nodes": content})


def _read(file: Path) -> dict[str, Node]:
    """Read what was known; a damaged file is as if there were none: nodes tell it anew."""
    try:
        entries: list[dict[str, Any]] = json.loads(file.read_bytes())["nodes"]
        return {entry["name"]: Node(**entry) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
