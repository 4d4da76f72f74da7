"""What the engine takes for granted of locust and geventhttpclient.

Locust patches the standard library when it is imported, so it gets its own process.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ASK = """
import json
from locust import FastHttpUser, HttpUser, TaskSet, events, task
from locust.env import Environment
from locust.event import EventHook
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_WAITING, DefaultTaskSet
import gevent, inspect
from geventhttpclient.response import HTTPSocketResponse
from geventhttpclient.useragent import CompatResponse
from escalade.load.adapter import _last_call
from escalade.load.http_user import LeanHttpUser

order, found = [], {}


class Reader(FastHttpUser):
    host = "http://127.0.0.1:1"

    def on_start(self):
        order.append("User.on_start")

    @task
    def read(self):
        order.append("task")
        self.client.get("/x")
        if order.count("task") == 2:
            raise ValueError("a bug")


class Plain(HttpUser):
    host = "http://127.0.0.1:1"


class Lean(LeanHttpUser):
    host = "http://127.0.0.1:1"


def on_start(tasks):
    order.append("DefaultTaskSet.on_start")


def wait(tasks):
    order.append("wait")
    tasks.user._state = LOCUST_STATE_WAITING
    gevent.sleep(30 if order.count("wait") == 3 else 0)
    tasks.user._state = LOCUST_STATE_RUNNING


class Hook(EventHook):
    def fire(self, *, reverse=False, **meta):
        found.setdefault("meta", sorted(meta))


TaskSet.wait, DefaultTaskSet.on_start = wait, on_start
environment = Environment(user_classes=[Reader, Plain], events=events)
runner = environment.create_local_runner()
environment.events.request = Hook()
(user,) = runner.spawn_users({"Reader": 1})
gevent.sleep(0.3)
found["order"] = order[:]
found["greenlet"] = isinstance(user.greenlet, gevent.Greenlet)
found["waiting user stops at once"] = user.stop() and user.greenlet.dead

calls = []
for kind in (Reader, Plain, Lean):
    client = kind(environment).client
    owner, name = _last_call(client)
    call = getattr(owner, name)
    setattr(owner, name, lambda *args, **options: (calls.append(name), call(*args, **options))[1])
    client.get("/x"), client.post("/x")
found["calls"] = calls
found["readline takes a separator"] = "sep" in inspect.signature(HTTPSocketResponse.readline).parameters
found["stream"] = isinstance(CompatResponse.stream, property)
found["spawning_greenlet"] = gevent.spawn(lambda: None).spawning_greenlet() is gevent.getcurrent()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    """Ask a locust of its own."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, timeout=60, check=False
    )
    assert asked.returncode == 0, asked.stderr
    return dict(json.loads(asked.stdout.splitlines()[-1]))


def test_a_user_waits_before_its_first_task_and_after_each_even_a_failed_one(
    found: dict[str, object],
) -> None:
    assert found["order"] == [
        "User.on_start",
        "DefaultTaskSet.on_start",
        "task",
        "wait",
        "task",
        "wait",
        "task",
        "wait",
    ]


def test_a_user_in_the_waiting_state_can_be_stopped(found: dict[str, object]) -> None:
    assert found["waiting user stops at once"]
    assert found["greenlet"]


def test_every_request_goes_through_the_client_and_the_event(found: dict[str, object]) -> None:
    assert found["calls"] == ["get_client"] * 2 + ["send"] * 2 + ["leave"] * 2
    assert {"exception", "response", "response_length", "response_time"} <= set(found["meta"])  # type: ignore[call-overload]


def test_streams_can_be_read_line_by_line(found: dict[str, object]) -> None:
    assert found["stream"]
    assert found["readline takes a separator"]


def test_a_greenlet_knows_who_spawned_it(found: dict[str, object]) -> None:
    assert found["spawning_greenlet"]
