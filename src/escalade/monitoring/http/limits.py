"""How much the server takes at once, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server.

    Parameters
    ----------
    body_bytes
        Of a request's body, however it is sent.
    body_seconds
        Until a body has to be there.
    requests
        At once; what is more is refused with "busy".
    brief, long
        Threads for operations that ask only, and for those that change or collect.
    wait_seconds
        A `wait_seconds` that is longer is cut to it.
    samples
        In the answer to one query.
    """

    body_bytes: int = 1 << 20
    body_seconds: float = 30.0
    requests: int = 64
    brief: int = 16
    long: int = 16
    wait_seconds: float = 120.0
    samples: int = 100_000
