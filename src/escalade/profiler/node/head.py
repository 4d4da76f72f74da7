"""What an agent asks of its head: to be taken in, and what time it is there."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import TYPE_CHECKING, Any

from escalade.errors import ConflictError, InfrastructureError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 5.0
_ROUNDS = 5


class HeadUnreachableError(InfrastructureError):
    """Nobody answers at the head's address, or what answers is no head."""


class HeadLine:
    """Asks one head, by a connection for each request; needs nothing beyond the standard library.

    Parameters
    ----------
    address
        `host:port`.
    token
        What it wants; None: nothing.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address
        self._token = token

    def headers(self) -> dict[str, str]:
        """Give what every request carries."""
        return {} if self._token is None else {"Authorization": f"Bearer {self._token}"}

    def connect(self, node: str, instance: str, gpus: int, offset: float) -> dict[str, Any]:
        """Be taken in.

        Returns
        -------
        dict
            interval_ms, bandwidth, nvlink: what the head wants to be read.

        Raises
        ------
        HeadUnreachableError
            When nobody answers there.
        InputError
            When the token is another one.
        ConflictError
            When another agent sends by that name.
        """
        told: dict[str, Any] = {
            "node": node,
            "instance": instance,
            "gpus": gpus,
            "clock_offset_seconds": offset,
        }
        return self._ask("POST", "/clients/connect", told)

    def leave(self, node: str, instance: str) -> None:
        """Say goodbye; a head that is away notices by itself."""
        with contextlib.suppress(InfrastructureError, InputError):
            self._ask("POST", "/clients/leave", {"node": node, "instance": instance})

    def clock_offset(self) -> float:
        """Measure how far this node's clock is ahead of the head's, in seconds.

        Returns
        -------
        float
            By the quickest of five requests, as if both ways took as long (Cristian's algorithm):
            off by half of its round trip at most.
        """
        best = (float("inf"), 0.0)
        for _ in range(_ROUNDS):
            began, mono = time.time(), time.monotonic()
            there = self._ask("GET", "/health").get("time")
            trip = time.monotonic() - mono
            if not isinstance(there, (int, float)):
                raise HeadUnreachableError(f"{self.address} is no head of the profiler.")
            best = min(best, (trip, began + trip / 2 - there))
        return best[1]

    def _ask(self, method: str, path: str, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
        host, _, port = self.address.rpartition(":")
        line = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_SECONDS)
        headers = {**self.headers(), "Content-Type": "application/json"}
        try:
            body = None if told is None else json.dumps(told)
            line.request(method, path, body, headers)
            answer = line.getresponse()
            status, text = answer.status, answer.read(1 << 20)
            content = dict(json.loads(text))
        except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
            raise HeadUnreachableError(
                f"No head of the profiler answers at {self.address}: {error or type(error).__name__}. "
                "Start one by `escalade profile start`, or correct the address."
            ) from error
        finally:
            line.close()
        if status == http.client.OK:
            return content
        words = str(content.get("message", ""))[:500]
        if status == http.client.UNAUTHORIZED:
            raise InputError(
                f"The head {self.address} wants another token: {words} Give the file `token` of "
                "the head's folder by --token-file."
            )
        if status == http.client.CONFLICT:
            raise ConflictError(words)
        raise InfrastructureError(f"The head {self.address} refuses: HTTP {status}: {words}")
