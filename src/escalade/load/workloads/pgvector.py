"""Workload: nearest neighbours in a PostgreSQL with pgvector, one query per arrival.

The collection and the queries are drawn from the cell's seed and put there before the
load (`escalade.load.stores.prepare_pgvector`); each answer is compared with the exact
neighbours, and its recall noted. A query comes again after as many requests as there
are queries.

Parameters
----------
queries_file
    Queries and their exact neighbours, as they were prepared.
secret_file
    File with the password (none: that of the environment variable PGPASSWORD).
connections
    Connections at once, at most, of all workers together (100); a request that finds none free
    waits for one, which counts.
tls
    Whether the connection is encrypted (false).
table
    Where the vectors are ("escalade_vectors"); made anew unless it holds the same.
vectors, dimensions, distribution
    The collection: how many (10000), of how many dimensions (128), "normal", "uniform" or
    "clustered" ("normal").
queries
    How many different ones (1000).
k
    Neighbours asked for (10).
distance
    "l2", "cosine" or "inner_product" ("l2").
index
    "hnsw", "ivfflat", or "none" for an exact search ("hnsw").
m, ef_construction
    Of the index hnsw (16, 64).
lists
    Of the index ivfflat (100).
ef_search, probes
    What a search looks at: candidates of hnsw (40), lists of ivfflat (1).
"""

import contextlib
import time
from functools import cache
from pathlib import Path

from gevent.lock import BoundedSemaphore
from locust import User, task
from locust.env import Environment
from pg8000.native import Connection, DatabaseError, InterfaceError, PreparedStatement

from escalade.files import read_table
from escalade.load.stores.postgres import VectorStore, close, connect, known
from escalade.load.stores.vectors import recall
from escalade.load.workload import due, parameters, workers

_AHEAD = 16


@cache
def queries() -> list[tuple[str, set[int]]]:
    """Read the queries, each with the ids of its k exact neighbours."""
    store = VectorStore.of(parameters())
    frame = read_table(Path(parameters()["queries_file"]), "queries", ("vector", "neighbours"))
    return [
        (text, set(near[: store.k].tolist()))
        for text, near in zip(frame["vector"], frame["neighbours"], strict=True)
    ]


class Database:
    """The connections of this process: a request takes one that is idle, or opens one.

    Every request becomes an event of locust, as those of its own clients do.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store = VectorStore.of(parameters())
        self._places = BoundedSemaphore(max(1, self._store.connections // workers()))
        self._idle: list[tuple[Connection, PreparedStatement]] = []
        self._opens_ahead = False

    def open(self) -> tuple[Connection, PreparedStatement]:
        """Connect, and have the search planned."""
        connection = connect(self._url, parameters())
        try:
            for setting in self._store.settings:
                connection.run(setting)
            return connection, connection.prepare(self._store.search)
        except BaseException:
            close(connection)
            raise

    def open_ahead(self) -> None:
        """Open some connections, once; where that fails, requests will tell."""
        if self._opens_ahead:
            return
        self._opens_ahead = True
        with contextlib.suppress(Exception):
            while len(self._idle) < min(_AHEAD, self._store.connections // workers()):
                self._idle.append(self.open())

    def search(self, vector: str) -> list[int]:
        """Give the ids of the nearest vectors; a connection that failed is not used again."""
        with self._places:
            connection, search = self._idle.pop() if self._idle else self.open()
            try:
                found = [row[0] for row in search.run(vector=vector)]
            except BaseException:
                close(connection)
                raise
            self._idle.append((connection, search))
            return found


@cache
def database(url: str) -> Database:
    """Give the connections that all users of this process share."""
    return Database(url)


class Client:
    """What a user sends its requests with: locust and Escalade look at `request`."""

    def __init__(self, environment: Environment, url: str) -> None:
        self._events = environment.events
        self._database = database(url)
        self._database.open_ahead()

    def request(self, vector: str) -> list[int] | None:
        """Give the ids of the nearest vectors; None when the request failed, which is told."""
        began, found, failure = time.perf_counter(), None, None
        try:
            found = self._database.search(vector)
        except (DatabaseError, InterfaceError) as error:
            failure = known(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the end of this request
            failure = error
        self._events.request.fire(  # type: ignore[no-untyped-call]
            request_type="SQL",
            name="search",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            context={},
            exception=failure,
        )
        return found


class VectorUser(User):
    """Sends one query per arrival."""

    def on_start(self) -> None:
        """Read the queries and connect before the first arrival."""
        queries()
        self.client = Client(self.environment, str(self.host))

    @task
    def search(self) -> None:
        """Ask for the nearest vectors, note the share of the exact ones among them."""
        request = due()
        number = request.payload_id % len(queries())
        vector, neighbours = queries()[number]
        request.note("query", number)
        request.note("recall", None)
        found = self.client.request(vector)
        if found is not None:
            request.note("recall", recall(found, neighbours))
