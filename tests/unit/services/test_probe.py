"""The probe: it waits for a service that lives, and only for that."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from escalade.errors import ServiceFailedError
from escalade.services.probe import ask, port_taken, wait_ready

if TYPE_CHECKING:
    from collections.abc import Iterator


class Loading(http.server.BaseHTTPRequestHandler):
    """Answers 503 a number of times, then 200."""

    left = 0

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(0.5)
        Loading.left -= 1
        loading = Loading.left >= 0
        self.send_response(503 if loading else 200)
        self.end_headers()
        self.wfile.write(b"loading model" if loading else b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Loading) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        Loading.left = 0
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def lives() -> None:
    return None


def test_a_service_is_ready_once_it_answers_200(url: str) -> None:
    Loading.left = 3

    assert wait_ready(url, "/health", 5, lives) >= 3 * 0.05
    assert Loading.left == -1


def test_a_service_that_never_becomes_ready_is_told_with_its_last_answer(url: str) -> None:
    Loading.left = 1000

    with pytest.raises(ServiceFailedError) as caught:
        wait_ready(url, "/health", 0.1, lives)

    assert caught.value.cause == (
        "the service was not ready within 0.1 s: GET /health gave 503 loading model"
    )


def test_a_service_that_does_not_listen_is_not_ready(nobody: str) -> None:
    with pytest.raises(ServiceFailedError, match=r"not ready within 0.1 s: .*refused"):
        wait_ready(nobody, "/health", 0.1, lives)


def test_a_dead_service_is_not_waited_for(nobody: str) -> None:
    start = time.monotonic()

    with pytest.raises(ServiceFailedError, match=r"^the service exited with code 3$"):
        wait_ready(nobody, "/health", 60, lambda: "the service exited with code 3")

    assert time.monotonic() - start < 6


def test_another_server_on_the_port_does_not_stand_in_for_a_dead_service(url: str) -> None:
    with pytest.raises(ServiceFailedError, match="exited with code 2"):
        wait_ready(url, "/health", 5, lambda: "the service exited with code 2")


def test_a_service_that_does_not_answer_in_time_is_not_ready(url: str) -> None:
    assert ask(url, "/slow", 0.1) == "no answer within 0.1 s"


def test_a_port_is_taken_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port_taken("127.0.0.1", port)
    assert not port_taken("127.0.0.1", port)


def test_without_a_path_a_connection_is_enough(url: str, nobody: str) -> None:
    assert wait_ready(url, None, 5, lives) < 5
    assert Loading.left == 0  # nothing was asked
    with pytest.raises(ServiceFailedError, match=r"a connection gave .*refused"):
        wait_ready(nobody, None, 0.1, lives)


def test_other_answers_may_mean_ready(url: str) -> None:
    Loading.left = 1

    wait_ready(url, "/", 5, lives, (503,))
    assert Loading.left == 0
