"""The users that send a step's requests: idle ones wait in pools, which grow when these run short."""

from __future__ import annotations

import random
import resource
from dataclasses import dataclass, field
from math import ceil, inf
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event

from escalade.errors import InfrastructureError
from escalade.load.pool import UserPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from escalade.load.arrival import Arrival
    from escalade.load.rows import PlannedRows

READY_SECONDS = 10.0  # for the first users to become idle
_SPARE_USERS = 10
_FIRST_USERS_MAX = 1000
_IDLE_SHARE = 0.1  # below it the pool grows
_BATCH = 10  # users made at once, about 1 ms
_FILES_KEPT = 200  # descriptors that are not for connections


@dataclass
class Crew:
    """The users of one class.

    Parameters
    ----------
    weight
        Share of the arrivals, relative to the other classes.
    parts
        Places in the step's mix of the workloads that they send.
    spawn
        Starts that many more users; gives their greenlets.
    pool
        Where its idle users wait.
    size
        Users that live.
    starting
        Those of them that were never idle.
    """

    weight: float
    spawn: Callable[[int], list[gevent.Greenlet]]
    pool: UserPool[Arrival] = field(default_factory=UserPool)
    parts: frozenset[int] = frozenset({0})
    size: int = 0
    starting: int = 0

    def is_short(self) -> bool:
        """Say whether more users are needed for what waits and what may come."""
        spare = max(_SPARE_USERS, self.size * _IDLE_SHARE)
        return self.pool.idle + self.starting < self.pool.backlog + spare


class Crews:
    """All users of a step.

    Parameters
    ----------
    crews
        By the name of their class.
    ended
        Called with a user whose greenlet has ended, in a task or before its first one.
    """

    def __init__(self, crews: Mapping[str, Crew], ended: Callable[[gevent.Greenlet], None]) -> None:
        self._crews = crews
        self._ended = ended
        self._users: dict[gevent.Greenlet, Crew] = {}
        self._starting: set[gevent.Greenlet] = set()
        self._failed_starts = 0
        self._short = Event()

    def __len__(self) -> int:
        return len(self._users)

    @property
    def backlog_max(self) -> int:
        """Most arrivals of one crew that waited for a user at a time."""
        return max(crew.pool.backlog_max for crew in self._crews.values())

    def make_ready(self, wanted: float) -> None:
        """Start the first users, some more than wanted, and wait until they are idle.

        Raises
        ------
        InfrastructureError
            When none becomes idle in time.
        """
        count = ceil(min(wanted + _SPARE_USERS, _FIRST_USERS_MAX))
        total = sum(crew.weight for crew in self._crews.values())
        for crew in self._crews.values():
            self._spawn(crew, ceil(count * crew.weight / total))
        with gevent.Timeout(READY_SECONDS, False):  # noqa: FBT003 - gevent's "raise nothing"
            while self._starting:
                gevent.sleep(0.01)
        if not any(crew.pool.idle for crew in self._crews.values()):
            raise InfrastructureError(
                f"No user of {', '.join(self._crews)} became ready within {READY_SECONDS:.0f} s: "
                "see above for what its on_start raised or waits for."
            )

    def grow(self) -> None:
        """Start more users whenever there are too few; does not end."""
        limit = _most_users()
        while True:
            self._short.wait()
            self._short.clear()
            for crew in self._crews.values():
                while len(self._users) < limit and crew.is_short():
                    failed = self._failed_starts
                    self._spawn(crew, _BATCH)
                    gevent.sleep(0.001)
                    if self._failed_starts > failed:
                        gevent.sleep(0.2)  # a broken on_start must not take the whole core

    def idle(self, user: gevent.Greenlet, kind: str) -> Crew:
        """Take note that a user is idle; give its crew, whose pool it is to wait in."""
        crew = self._crews[kind]
        if user not in self._users:  # locust's own first user
            self._admit(user, crew)
        self._started(user)
        return crew

    def put(self, crew: Crew, arrival: Arrival) -> None:
        """Hand an arrival to an idle user of a crew, or to the next one that becomes idle."""
        crew.pool.put(arrival)
        if crew.is_short():
            self._short.set()

    def shares(self, rows: PlannedRows, seed: int) -> list[Crew]:
        """Share the arrivals of each workload among its crews by weight, the same for the same seed."""
        places, parts = rows.index.tolist(), rows.part_of.tolist()
        last = max(places, default=-1)  # more draws would not change the first ones
        drawn = {}
        for part in sorted(set(parts)):
            crews = [crew for crew in self._crews.values() if part in crew.parts]
            weights = [crew.weight for crew in crews]
            drawn[part] = random.Random(seed).choices(crews, weights, k=last + 1)
        return [drawn[part][place] for part, place in zip(parts, places, strict=True)]

    def _spawn(self, crew: Crew, count: int) -> None:
        for user in crew.spawn(count):
            self._admit(user, crew)
            self._starting.add(user)
            crew.starting += 1

    def _admit(self, user: gevent.Greenlet, crew: Crew) -> None:
        self._users[user] = crew
        crew.size += 1
        user.rawlink(self._dismiss)

    def _started(self, user: gevent.Greenlet) -> bool:
        """Count a user as started; say whether it was not yet."""
        if user not in self._starting:
            return False
        self._starting.discard(user)
        self._users[user].starting -= 1
        return True

    def _dismiss(self, user: gevent.Greenlet) -> None:
        """Forget a user whose greenlet has ended, in a task or before its first one."""
        self._failed_starts += self._started(user)
        self._users.pop(user).size -= 1
        self._ended(user)


def _most_users() -> float:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return inf if files == resource.RLIM_INFINITY else files - _FILES_KEPT
