"""What nodes send, passed on to Prometheus; a node is told "taken" only when Prometheus has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from typing import Self

    from starlette.requests import Request

    from escalade.profiler.head.database import Database
    from escalade.profiler.head.nodes import Nodes

NODE, OFFSET, QUEUE = "x-escalade-node", "x-escalade-clock-offset", "x-escalade-queue-bytes"
"""Headers by which a node says who sends, its clock's offset in s, and what waits there in bytes."""
_PASSED = ("content-type", "content-encoding", "x-prometheus-remote-write-version", "user-agent")
_SECONDS = 60.0
_SERVICE_UNAVAILABLE = 503


class Ingest:
    """Passes requests of remote write on.

    Parameters
    ----------
    database
        Where they go.
    nodes
        Is told who sent.
    """

    def __init__(self, database: Database, nodes: Nodes) -> None:
        self._database = database
        self._nodes = nodes
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Open connections."""
        self._http = httpx2.AsyncClient(timeout=_SECONDS, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        if self._http is not None:
            await self._http.aclose()

    async def take(self, request: Request) -> tuple[int, str]:
        """Pass one request on.

        Returns
        -------
        tuple of int and str
            Prometheus' status and its words; 503 when it can't be asked now: to be sent again.
        """
        if self._http is None or not self._database.ready:
            return _SERVICE_UNAVAILABLE, "Prometheus is not ready."
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        url = f"{self._database.url}/api/v1/write"
        try:
            answer = await self._http.post(url, content=await request.body(), headers=headers)
        except httpx2.HTTPError as error:
            return _SERVICE_UNAVAILABLE, f"Prometheus does not answer: {type(error).__name__}."
        status = answer.status_code
        if status < 500 and (name := request.headers.get(NODE)):
            offset, queue = request.headers.get(OFFSET), request.headers.get(QUEUE)
            self._nodes.sent(name[:64], _number(offset), _whole(queue), taken=status < 300)
        return status, answer.text[:500]


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
