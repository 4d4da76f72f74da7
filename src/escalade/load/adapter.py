"""All of locust that is touched, in one place.

With `--escalade-step` the users of a locustfile, unchanged, follow the schedule:

* `TaskSet.wait` ends an arrival and waits for the next one, in place of the wait time.
* `DefaultTaskSet.on_start`, which runs after the user's own `on_start` and before
  its first task, waits for the first one.
* `environment.events.request` is wrapped: every request event becomes the record of
  the arrival, and locust's own statistics count from the planned send.
* The innermost public call before a user's client connects is wrapped: the moment
  that a request leaves.

Without the option nothing is touched. Beyond locust's documented interface this
needs `User._state` and the run order of `DefaultTaskSet`; tests hold locust to both.
"""

# mypy: allow-untyped-calls, allow-untyped-decorators, allow-subclassing-any
# (locust's events and gevent's resolver have no types)

from __future__ import annotations

import functools
import logging
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent.resolver.thread import Resolver
from locust import HttpUser, TaskSet, events
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, FastHttpUser
from locust.event import EventHook
from locust.exception import CatchResponseError, StopUser
from locust.runners import LocalRunner
from locust.user.task import (
    LOCUST_STATE_RUNNING,
    LOCUST_STATE_STOPPING,
    LOCUST_STATE_WAITING,
    DefaultTaskSet,
)

from escalade.errors import EscaladeError, InputError
from escalade.load.answer import Answer
from escalade.load.clock import now
from escalade.load.crews import Crew
from escalade.load.engine import Engine
from escalade.load.faults import forget_tracebacks
from escalade.load.http_user import LeanHttpUser, LeanSession
from escalade.load.loops import ENGINES
from escalade.load.plan import read_plan, workload_file
from escalade.load.rows import read_rows

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping

    from locust import User
    from locust.env import Environment

    from escalade.load.arrival import Arrival

LOG = logging.getLogger(__name__)


class RequestHook(EventHook):
    """Stands before locust's request event: records each event, then passes it on.

    Parameters
    ----------
    wrapped
        The event's own hook, which keeps the listeners.
    arrival
        Gives the arrival that the caller works on, if any.
    """

    def __init__(self, wrapped: EventHook, arrival: Callable[[], Arrival | None]) -> None:
        super().__init__()
        self._wrapped = wrapped
        self._arrival = arrival

    def add_listener(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Add a listener to the event."""
        self._wrapped.add_listener(handler)
        return handler

    def remove_listener(self, handler: Callable[..., Any]) -> None:
        """Remove a listener of the event."""
        self._wrapped.remove_listener(handler)

    def fire(self, *, reverse: bool = False, **meta: Any) -> None:
        """Record a request that has ended; its time then counts from the planned send."""
        at = _end(meta)
        arrival = self._arrival()
        if arrival is not None:
            _record(arrival, at, meta)
            if arrival.was_abandoned:
                meta["exception"] = None  # no failure in locust's statistics either
            meta["response_time"] = (at - arrival.planned) * 1000
        self._wrapped.fire(reverse=reverse, **meta)
        forget_tracebacks(meta.get("exception"))


class OnceResolver(Resolver):
    """Looks a name up once per step: a name server's time is not the service's."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Any, Any] = {}

    def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        """Answer as `socket.getaddrinfo` does."""
        key = (args, tuple(sorted(options.items())))
        if key not in self._known:
            self._known[key] = super().getaddrinfo(*args, **options)
        return self._known[key]


class Session:
    """Connects one locust environment with the engine of its step.

    Parameters
    ----------
    environment
        Of locust.
    plan
        The file that `--escalade-step` names.

    Raises
    ------
    InputError
        When the plan or its schedule can't be read, or locust runs distributed.
    """

    def __init__(self, environment: Environment, plan: Path) -> None:
        runner = environment.runner
        if not isinstance(runner, LocalRunner):
            raise InputError(
                "--escalade-step drives one locust process: leave out --master, --worker "
                "and --processes. A campaign has load.workers."
            )
        self.environment = environment
        self._runner = runner
        self.step, self._progress_file = read_plan(plan)
        rows = read_rows(self.step.schedule, self.step.step)
        self._rows = rows.part(self.step.worker, self.step.workers)
        self.payloads = [part.payloads(self.step.seed) for part in self.step.parts]
        self._spawned = Event()
        self._driver: gevent.Greenlet | None = None
        self.engine: Engine | None = None

    def install(self) -> None:
        """Put the step between locust and its users."""
        random.seed(self.step.seed + self.step.worker)  # locust draws a user's next task from it
        self.environment.shape_class = None  # the schedule is the shape
        get_hub().resolver = OnceResolver()

        wait = self._waiting_method()
        TaskSet.wait = wait  # type: ignore[method-assign]
        DefaultTaskSet.on_start = wait  # type: ignore[method-assign]
        hooks = self.environment.events
        hooks.request = RequestHook(hooks.request, self.current)
        hooks.user_error.add_listener(self._on_user_error)
        hooks.test_start.add_listener(self._on_test_start)
        hooks.spawning_complete.add_listener(lambda **_: self._spawned.set())
        hooks.test_stop.add_listener(self._on_stop)
        hooks.quitting.add_listener(self._on_stop)

    def current(self) -> Arrival | None:
        """Give the arrival that the calling greenlet works on, if any."""
        return self.engine.current() if self.engine else None

    def parameters(self) -> Mapping[str, Any]:
        """Give the parameters of what the calling greenlet sends, or is going to."""
        parts = self.step.parts
        if len(parts) == 1:
            return parts[0].parameters
        arrival = self.current()
        if arrival is not None:
            return parts[arrival.part].parameters
        user = next(iter(getattr(gevent.getcurrent(), "args", ())), None)
        first = min(self._parts_of(type(user)), default=None)
        return {} if first is None else parts[first].parameters

    def _parts_of(self, kind: type) -> frozenset[int]:
        """Give the places in the mix of the workloads whose file defines a user class."""
        parts = self.step.parts
        if len(parts) == 1:
            return frozenset({0})
        files = [workload_file(part.workload).stem for part in parts]
        return frozenset(n for n, stem in enumerate(files) if stem == kind.__module__)

    def _insist_on_spreading(self) -> None:
        """Refuse users whose client can't be told for each request where it goes.

        Raises
        ------
        InputError
            Naming the first of them.
        """
        needed = (LeanHttpUser,) if self.step.failover else (LeanHttpUser, FastHttpUser, HttpUser)
        for kind in self.environment.user_classes:
            if self.step.hosts and not issubclass(kind, needed):
                why = "failover is" if self.step.failover else "replicas are"
                raise InputError(
                    f"User class {kind.__name__!r}: {why} for {', '.join(it.__name__ for it in needed)} "
                    "only, whose client is told for each request which copy of the service it goes to."
                )

    def _crews(self) -> dict[str, Crew]:
        crews = {}
        self._insist_on_spreading()
        for kind in self.environment.user_classes:
            spawn = functools.partial(self._spawn, kind.__name__)
            crews[kind.__name__] = Crew(kind.weight, spawn, parts=self._parts_of(kind))
        for place, part in enumerate(self.step.parts):
            if not any(place in crew.parts for crew in crews.values()):
                raise InputError(
                    f"Workload {part.name!r} of the mix has no user class: {part.workload} has to "
                    "define one itself, under a name that no other file of the mix uses."
                )
        return crews

    def _waiting_method(self) -> Any:
        def wait(tasks: TaskSet) -> None:  # only a function becomes a method of a class
            self._wait(tasks)

        return wait

    def _wait(self, tasks: TaskSet) -> None:
        """Take the place of `TaskSet.wait`, with its handling of a user's state."""
        user = tasks.user
        _raise_if_stopping(user)
        if self.engine is None:
            raise StopUser
        self._watch_sends(user)
        user._state = LOCUST_STATE_WAITING  # noqa: SLF001 - else locust can't stop it
        self.engine.next_arrival(type(user).__name__)
        _raise_if_stopping(user)
        self._direct(user)
        user._state = LOCUST_STATE_RUNNING  # noqa: SLF001

    def _direct(self, user: User) -> None:
        """Have the user's client speak to the copy of the service that its arrival goes to."""
        hosts, arrival = self.step.hosts, self.current()
        if not hosts or arrival is None:
            return
        place = arrival.replica
        client: Any = getattr(user, "client", None)  # as `_insist_on_spreading` has seen
        client.base_url = hosts[place]
        if self.step.failover:
            following = (place + 1) % len(hosts)
            client.standby = hosts[following], functools.partial(arrival.turn_to, following)

    def _watch_sends(self, user: User) -> None:
        owner, name = _last_call(getattr(user, "client", None))
        call = getattr(owner, name, None)
        if callable(call) and name not in getattr(owner, "__dict__", {name: None}):
            setattr(owner, name, _stamped(call, self.current))

    def _on_test_start(self, **_: Any) -> None:
        self._spawned.clear()
        try:
            crews = self._crews()
        except InputError as error:
            LOG.error("%s", error)  # noqa: TRY400 - a message for the user, not a traceback
            self.environment.process_exit_code = 3
            self._driver = gevent.spawn(self._leave)
            return
        kind = ENGINES.get(self._rows.plan.arrivals, Engine)
        self.engine = kind(self.step, self._rows, crews, self._progress_file)
        self._driver = gevent.spawn(self._drive, self.engine)

    def _leave(self) -> None:
        """End locust once it has begun: it would not hear of it before, and run on."""
        self._spawned.wait()
        self._runner.quit()

    def _spawn(self, kind: str, count: int) -> list[gevent.Greenlet]:
        return [user.greenlet for user in self._runner.spawn_users({kind: count})]

    def _drive(self, engine: Engine) -> None:
        self.environment.process_exit_code = 3
        try:
            self._spawned.wait()
            engine.drive()
        except gevent.GreenletExit:  # locust is stopping already
            return
        except EscaladeError as error:
            LOG.error("%s", error)  # noqa: TRY400 - a message for the user, not a traceback
        except Exception:
            LOG.exception("The step broke off")
        else:
            self.environment.process_exit_code = 0  # failed requests are data
        end = self._runner.stop if self.environment.web_ui else self._runner.quit
        end()

    def _on_user_error(self, exception: BaseException, **_: Any) -> None:
        if self.engine:
            self.engine.failed(exception)

    def _on_stop(self, **_: Any) -> None:
        """Write what there is: the end of the step, SIGTERM, Ctrl-C or the web page."""
        if self.engine:
            self.engine.abort()
        if self._driver and self._driver is not gevent.getcurrent():
            self._driver.kill(block=False)


@events.init_command_line_parser.add_listener
def _add_option(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--escalade-step",
        metavar="FILE",
        default="",
        include_in_web_ui=False,
        help="Send this step's requests at their planned times (escalade.load.plan).",
    )


@events.init.add_listener
def _on_init(environment: Environment, **_: Any) -> None:
    global _session  # noqa: PLW0603 - locust has one environment per process
    plan = getattr(environment.parsed_options, "escalade_step", "")
    if plan:
        _session = Session(environment, Path(plan))
        _session.install()


_session: Session | None = None


def session() -> Session | None:
    """Give the session of this process; None when locust runs without a step."""
    return _session


def _end(meta: Mapping[str, Any]) -> float:
    """Give when a request ended: with the last byte of its answer, where that is known."""
    answer = meta.get("response")
    ended = answer.ended_at if isinstance(answer, Answer) else None
    return now() if ended is None or meta.get("exception") else ended


def _record(arrival: Arrival, at: float, meta: dict[str, Any]) -> None:
    arrival.left(at - (meta.get("response_time") or 0) / 1000)
    arrival.received(meta.get("response_length") or 0)
    status = getattr(meta.get("response"), "status_code", 0) or 0
    failure = meta.get("exception")
    if failure is not None and not isinstance(failure, BaseException):
        failure = CatchResponseError(failure)
    arrival.answered(at, status, failure)


def _last_call(client: Any) -> tuple[Any, str]:
    """Find what a client calls last before it connects: making a request takes 0.5 ms."""
    if isinstance(client, HttpSession):
        return client, "send"
    if isinstance(client, FastHttpSession):
        return client.client.clientpool, "get_client"
    if isinstance(client, LeanSession):
        return client, "leave"
    return client, "request"


def _stamped(call: Callable[..., Any], current: Callable[[], Arrival | None]) -> Callable[..., Any]:
    @functools.wraps(call)
    def stamped(*args: Any, **options: Any) -> Any:
        arrival = current()
        if arrival is not None:
            arrival.sending()
        return call(*args, **options)

    return stamped


def _raise_if_stopping(user: User) -> None:
    if user._state == LOCUST_STATE_STOPPING:  # noqa: SLF001 - as `TaskSet.wait` does
        raise StopUser
