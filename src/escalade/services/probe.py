"""Waiting until a service is ready, without waiting for one that is dead."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from escalade.errors import ServiceFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 2.0
_SHOWN_BYTES = 80


def wait_ready(url: str, path: str, timeout: float, watch: Callable[[], str | None]) -> float:
    """Ask a service until it says that it is ready.

    Parameters
    ----------
    url
        Of the service, as in "http://127.0.0.1:8080".
    path
        What to ask for; ready means the answer 200.
    timeout
        Seconds to wait in all.
    watch
        Asked between the tries; a sentence such as "the service exited with code 1"
        ends the waiting.

    Returns
    -------
    float
        Seconds until the answer.

    Raises
    ------
    ServiceFailedError
        With the sentence of `watch`, or with what the service answered last.
    """
    start = time.monotonic()
    while True:
        answer = ask(url, path, min(_ANSWER_SECONDS, timeout))
        # The process first: whoever else has the port may answer in its place.
        if cause := watch():
            raise ServiceFailedError(cause)
        waited = time.monotonic() - start
        if answer == "200":
            return waited
        if waited >= timeout:
            raise ServiceFailedError(
                f"the service was not ready within {timeout:g} s: GET {path} gave {answer}"
            )
        time.sleep(_LOOK_SECONDS)


def ask(url: str, path: str, timeout: float) -> str:
    """Send one GET; give "200", another status with the beginning of its text, or the error."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        text = answer.read(_SHOWN_BYTES).decode("utf-8", errors="replace").strip()
        return "200" if answer.status == http.HTTPStatus.OK else f"{answer.status} {text}".strip()
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def port_taken(host: str, port: int) -> bool:
    """Tell whether somebody listens on a port, so that a service can't."""
    with contextlib.closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return True
    return False
