"""Serving metrics in Prometheus' text format, as every exporter of this project does."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.registry import Collector


@contextmanager
def serving(
    registry: CollectorRegistry, address: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """Serve a registry's metrics in threads, while the caller does something else.

    Parameters
    ----------
    registry
        Asked at every scrape.
    address, port
        Where to listen; port 0 takes a free one.

    Yields
    ------
    int
        The port.

    Raises
    ------
    OSError
        When the port can't be had.
    """
    server, thread = start_http_server(port, address, registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve(collector: Collector, address: str, port: int) -> int:
    """Serve a collector's metrics until SIGTERM or SIGINT.

    Parameters
    ----------
    collector
        Asked at every scrape.
    address, port
        Where to listen.

    Returns
    -------
    int
        0, or 3 when the port can't be had.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    awaited = {signal.SIGTERM, signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)  # as the server's threads inherit it
    try:
        with serving(registry, address, port):
            signal.sigwait(awaited)
    except OSError as error:
        sys.stderr.write(f"{address}:{port} can't be had: {error.strerror}\n")
        return 3
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0
