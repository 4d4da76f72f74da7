"""From what was registered to a host that answers: several interfaces, wrong ones first, none at all."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InputError
from escalade.monitoring.manager import call_here
from escalade.monitoring.sessions.record import Page
from escalade.monitoring.sessions.resolver import hosts_of, settle
from escalade.monitoring.sessions.targets import read_endpoint
from escalade.runtime.slurm.text import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

RIGHT, WRONG, NOBODY = "127.0.0.3", "127.0.0.4", "127.0.0.5"
"""Interfaces of this machine: the page is at the first, something else at the second."""


class _Metrics(BaseHTTPRequestHandler):
    kind, body = "text/plain; version=0.0.4", b"requests_total 1\n"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", self.kind)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _SomethingElse(_Metrics):
    kind, body = "text/html", b"<p>welcome</p>"


@pytest.fixture
def port() -> Iterator[int]:
    """Give a port at which one interface has the page, and another something else."""
    with HTTPServer((RIGHT, 0), _Metrics) as good:
        number = int(good.server_address[1])
        with HTTPServer((WRONG, number), _SomethingElse) as other:
            threads = [
                threading.Thread(target=it.serve_forever, args=(0.01,)) for it in (good, other)
            ]
            for thread in threads:
                thread.start()
            yield number
            for server, thread in zip((good, other), threads, strict=True):
                server.shutdown()
                thread.join()


class Cluster:
    """Jobs that run on these nodes."""

    def __init__(self, state: str, *nodes: str) -> None:
        self._jobs = tuple(
            Job(id="7", number="7", state=JobState(state), reason="", nodes=(node,))
            for node in nodes
        )

    def jobs(self, ids: Any) -> dict[str, tuple[Job, ...]]:
        return {str(each): self._jobs for each in ids}


def page(*hosts: str, port: int = 1, said_on: str = "login") -> Page:
    return Page(
        kind="service", name="triton", given="127.0.0.1", hosts=hosts, port=port, said_on=said_on
    )


def settled(*pages: Page, node: str = "node1") -> tuple[list[str], list[str]]:
    found, missing = settle(pages, node, call_here)
    return list(found.values()), list(missing.values())


def test_127_0_0_1_may_be_any_address_of_the_machine_where_it_was_said() -> None:
    endpoint = read_endpoint("http://127.0.0.1:8000/metrics", "--endpoint")

    assert hosts_of(endpoint, here=lambda: ["10.0.0.5", "10.1.0.5"]) == (
        "127.0.0.1",
        "10.0.0.5",
        "10.1.0.5",
    )


def test_a_host_that_was_named_is_taken_as_it_is() -> None:
    endpoint = read_endpoint("nodea:8000", "--endpoint")

    assert hosts_of(endpoint, here=lambda: ["10.0.0.5"]) == ("nodea",)


def test_a_job_is_its_nodes_each_with_its_addresses() -> None:
    endpoint = read_endpoint("job:7:8000", "--endpoint")
    addresses = {"n1": ["10.0.0.1", "n1"], "n2": []}

    found = hosts_of(
        endpoint, Cluster("RUNNING", "n1", "n2"), there=lambda _, node: addresses[node]
    )

    assert found == ("n1", "10.0.0.1", "n2")


@pytest.mark.parametrize("state", ["PENDING", "COMPLETED"])
def test_a_job_that_does_not_run_has_no_nodes(state: str) -> None:
    endpoint = read_endpoint("job:7:8000", "--endpoint")

    with pytest.raises(InputError, match=rf"Slurm job 7 has no nodes now: it is .*{state}"):
        hosts_of(endpoint, Cluster(state, "n1"), there=lambda *_: [])


def test_what_was_said_on_the_node_of_prometheus_is_taken_as_it_was_said(port: int) -> None:
    found, missing = settled(page(NOBODY, RIGHT, port=port), node="login")

    assert (found, missing) == ([NOBODY], [])


def test_of_several_interfaces_the_one_that_has_the_page_is_found(port: int) -> None:
    names = ("localhost.invalid", "[::ffff:127.0.0.4]", "[::ffff:127.0.0.3]")

    found, missing = settled(page(*names, port=port))

    assert found == ["[::ffff:127.0.0.3]"]
    assert missing == []


def test_where_none_answers_each_is_named_with_why(port: int) -> None:
    names = ("localhost.invalid", "[::ffff:127.0.0.4]", "[::ffff:127.0.0.5]")

    found, missing = settled(page(*names, port=port))

    assert found == []
    assert "it answers at none of its addresses from node1" in missing[0]
    assert f"localhost.invalid:{port} nothing answers" in missing[0]
    assert f"[::ffff:127.0.0.4]:{port} it answers with text/html, not with metrics" in missing[0]
    assert "Connection refused" in missing[0]


def test_127_0_0_1_of_another_machine_is_never_taken_for_that_of_prometheus(port: int) -> None:
    found, missing = settled(page("127.0.0.1", RIGHT, port=port))

    assert found == []
    assert "was registered on login, which has no address that other machines reach" in missing[0]


def test_one_host_is_taken_whether_it_answers_or_not() -> None:
    assert settled(page("nodea")) == (["nodea"], [])
