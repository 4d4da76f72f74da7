"""Asks a /metrics page from the node of Prometheus: what answers there, or why nothing does."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

_SECONDS = 2.0
_MOST_BYTES = 32 << 20
_AT_ONCE = 32
_GOOD = 200


@dataclass(frozen=True, slots=True)
class Probe:
    """What a page said.

    Parameters
    ----------
    host
        Where it was asked.
    status
        HTTP status; None when nothing answered.
    content_type
        As the server said.
    samples
        Lines with a sample, roughly counted; None when it was no good answer.
    why_not
        Why it is no page to scrape; "" when it is one.
    seconds
        Until the answer was whole.
    """

    host: str
    status: int | None
    content_type: str
    samples: int | None
    why_not: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether it can be scraped."""
        return not self.why_not

    def to_json(self) -> dict[str, Any]:
        """Give it as plain JSON content."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Read what `to_json` gave."""
        return cls(**content)


def ask(host: str, port: int, path: str, timeout: float = _SECONDS) -> Probe:
    """Ask a page once.

    Parameters
    ----------
    host
        Name or address, an IPv6 one in brackets.
    port, path
        Of the page.
    timeout
        Seconds for connection and for each piece of the answer.
    """
    began = time.monotonic()
    status, kind, body, why = None, "", b"", ""
    connection = http.client.HTTPConnection(host.strip("[]"), port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Accept": "text/plain"})
        answer = connection.getresponse()
        status, kind = answer.status, answer.headers.get("Content-Type", "")
        body = answer.read(_MOST_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        why = (
            f"nothing answers: {getattr(error, 'strerror', None) or error or type(error).__name__}"
        )
    finally:
        connection.close()
    samples = _samples(body)
    if not why:
        why = _why_not(status, kind, samples, len(body))
    return Probe(
        host, status, kind, None if why else samples, why, round(time.monotonic() - began, 4)
    )


def first_good(wanted: list[list[Any]]) -> list[list[dict[str, Any]]]:
    """Ask several pages, each at its hosts in turn until one is good; on the node of Prometheus.

    Parameters
    ----------
    wanted
        For each page its hosts, port and path.

    Returns
    -------
    list
        For each page what its hosts said, as `Probe.to_json`; the last one is good, or none is.
    """

    def tried(page: list[Any]) -> list[dict[str, Any]]:
        hosts, port, path = page
        said: list[dict[str, Any]] = []
        for host in hosts:
            probe = ask(host, port, path)
            said.append(probe.to_json())
            if probe.good:
                break
        return said

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(tried, wanted))


def _samples(body: bytes) -> int:
    return sum(1 for line in body.splitlines() if line.strip() and not line.startswith(b"#"))


def _why_not(status: int | None, kind: str, samples: int, size: int) -> str:
    if status != _GOOD:
        return f"it answers with HTTP {status}"
    if size > _MOST_BYTES:
        return f"its page is larger than {_MOST_BYTES >> 20} MiB"
    if "html" in kind or "json" in kind:
        return f"it answers with {kind}, not with metrics: is the path right?"
    return "" if samples else "its page has no sample"
