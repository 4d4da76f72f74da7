"""Seconds of a search for the nearest vectors in a PostgreSQL with pgvector, over loopback.

The server is one of its own in a temporary folder, and ends with this program.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import subprocess
import sys
import tempfile
import time
from functools import partial
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pg8000.native

from escalade.errors import EscaladeError
from escalade.files import read_table
from escalade.load.stores import postgres
from escalade.load.stores.plan import PreparePlan
from escalade.load.stores.prepare_pgvector import QUERIES, prepare
from escalade.runtime.endpoints import free_port
from escalade.runtime.lifeline import die_with_parent
from escalade.runtime.tools import find
from escalade.suites.programs import pacing
from escalade.suites.programs.vector_query import QUERIES as DIFFERENT
from escalade.suites.programs.vector_query import SEED, parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_INDEXES = ("none", "hnsw", "ivfflat")
_END_SECONDS = 10.0


def main() -> None:
    """Print the time of each query, in s."""
    known = parser("vector_query_pgvector", "Ask a PostgreSQL with pgvector.")
    known.add_argument("--index", default="hnsw", choices=_INDEXES)
    options = known.parse_args()
    try:
        program = find("postgres").path
    except EscaladeError as error:
        pacing.unavailable(str(error))
    with tempfile.TemporaryDirectory(prefix="escalade-pgvector-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o711)  # a server that may not run as root goes through it
        secret = folder / "secret"
        secret.touch(0o600)
        secret.write_text(secrets.token_hex(16), encoding="ascii")
        with _served(Path(program), folder, secret) as url:
            _measure(options, url, folder, secret)


@contextlib.contextmanager
def _served(program: Path, folder: Path, secret: Path) -> Iterator[str]:
    """Keep a server running; give its address."""
    port = free_port()
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "escalade.services.postgres_server"),
            *("--postgres", str(program), "--port", str(port)),
            *("--data", str(folder / "data"), "--secret-file", str(secret)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=partial(die_with_parent, getpid()),  # noqa: PLW1509 - one thread here
    )
    try:
        yield f"postgresql://escalade@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        try:
            server.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _measure(options: argparse.Namespace, url: str, folder: Path, secret: Path) -> None:
    parameters: dict[str, Any] = {
        "vectors": options.vectors,
        "dimensions": options.dimensions,
        "k": min(options.k, options.vectors),
        "distance": options.distance,
        "index": options.index,
        "queries": DIFFERENT,
        "secret_file": str(secret),
    }
    prepared = folder / "prepared"
    try:
        with contextlib.redirect_stdout(sys.stderr):
            prepare(PreparePlan(url, SEED, parameters, prepared))
        connection = postgres.connect(url, parameters)
    except (EscaladeError, OSError) as error:
        pacing.unavailable(f"no PostgreSQL with pgvector: {error}")
    store = postgres.VectorStore.of(parameters)
    for setting in store.settings:
        connection.run(setting)
    search = connection.prepare(store.search)
    turns = itertools.cycle(read_table(prepared / QUERIES, "queries", ["vector"])["vector"])

    def once() -> float:
        query = next(turns)
        began = time.perf_counter()
        try:
            search.run(vector=query)
        except (pg8000.native.DatabaseError, pg8000.native.InterfaceError) as error:
            pacing.fail(f"the server refused a query: {postgres.known(error)}")
        return time.perf_counter() - began

    pacing.measure(options, once)


if __name__ == "__main__":
    pacing.run(main)
