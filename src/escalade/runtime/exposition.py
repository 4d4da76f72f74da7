"""Serving metrics in Prometheus' text format, as every exporter of this project does."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


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
        server, thread = start_http_server(port, address, registry)
        signal.sigwait(awaited)
    except OSError as error:
        sys.stderr.write(f"{address}:{port} can't be had: {error.strerror}\n")
        return 3
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    server.shutdown()
    thread.join()
    return 0
