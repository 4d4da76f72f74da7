"""Ports, addresses, and waiting for a server."""

from __future__ import annotations

import http.server
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.runtime.endpoints import free_port, node_address, wait_http

if TYPE_CHECKING:
    from collections.abc import Iterator


class Late(http.server.BaseHTTPRequestHandler):
    """Answers 503 twice and 200 from then on."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.asked > 2 and self.path == "/ready?all=1" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Late.asked = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_a_server_that_is_not_ready_yet_is_asked_again(server: str) -> None:
    assert wait_http(f"{server}/ready?all=1", timeout=10) > 0
    assert Late.asked == 3


def test_a_server_that_never_gets_ready_is_given_up_with_what_it_said(server: str) -> None:
    with pytest.raises(InfrastructureError, match=r"did not answer 200 within 0\.2 s \(last: 503"):
        wait_http(f"{server}/never", timeout=0.2)


def test_waiting_ends_at_once_when_the_server_has_died() -> None:
    with pytest.raises(InfrastructureError, match="will not answer: it exited with code 1"):
        wait_http(
            f"http://127.0.0.1:{free_port()}/", timeout=60, watch=lambda: "it exited with code 1"
        )


def test_only_plain_http_is_asked() -> None:
    with pytest.raises(InputError, match="no plain http URL"):
        wait_http("ftp://127.0.0.1/", timeout=1)


def test_a_free_port_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def test_a_free_port_is_none_that_the_kernel_gives_away_by_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

        assert given.getsockname()[1] >= first
    assert all(1024 < free_port() < first for _ in range(20))


def test_a_port_on_a_foreign_address_is_refused() -> None:
    with pytest.raises(InfrastructureError, match="No free port on 203"):
        free_port("203.0.113.1")


def test_the_address_of_an_interface_is_that_of_the_interface() -> None:
    assert node_address("lo") == "127.0.0.1"


def test_an_unknown_interface_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'ib7' has no IPv4 .* Interfaces of this node: .*lo"):
        node_address("ib7")


def test_a_node_has_an_address() -> None:
    assert node_address()
