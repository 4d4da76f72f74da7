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
    from collections.abc import Callable, Sequence

READY = "ready"
_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 2.0
_SHOWN_BYTES = 80


def wait_ready(
    url: str,
    path: str | None,
    timeout: float,
    watch: Callable[[], str | None],
    answers: Sequence[int] = (http.HTTPStatus.OK,),
) -> float:
    """Ask a service until it says that it is ready.

    Parameters
    ----------
    url
        Of the service, as in "http://127.0.0.1:8080".
    path
        What to ask for; None asks for a TCP connection only.
    timeout
        Seconds to wait in all.
    watch
        Asked between the tries; a sentence such as "the service exited with code 1"
        ends the waiting.
    answers
        HTTP statuses that mean ready.

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
        patience = min(_ANSWER_SECONDS, timeout)
        answer = connect(url, patience) if path is None else ask(url, path, patience, answers)
        # The process first: whoever else has the port may answer in its place.
        if cause := watch():
            raise ServiceFailedError(cause)
        waited = time.monotonic() - start
        if answer == READY:
            return waited
        if waited >= timeout:
            tried = "a connection" if path is None else f"GET {path}"
            raise ServiceFailedError(
                f"the service was not ready within {timeout:g} s: {tried} gave {answer}"
            )
        time.sleep(_LOOK_SECONDS)


def ask(url: str, path: str, timeout: float, answers: Sequence[int] = (http.HTTPStatus.OK,)) -> str:
    """Send one GET; give "ready", another status with the beginning of its text, or the error."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        text = answer.read(_SHOWN_BYTES).decode("utf-8", errors="replace").strip()
        return READY if answer.status in answers else f"{answer.status} {text}".strip()
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def connect(url: str, timeout: float) -> str:
    """Open one TCP connection; give "ready" or the error."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout):
            return READY
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return str(error) or type(error).__name__


def port_taken(host: str, port: int) -> bool:
    """Tell whether somebody listens on a port, so that a service can't."""
    with contextlib.closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError:
            return True
    return False
