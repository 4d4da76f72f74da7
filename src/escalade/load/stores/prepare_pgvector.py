"""Load a collection of vectors into a PostgreSQL with pgvector, and find the exact neighbours.

`python -m escalade.load.stores.prepare_pgvector PLAN`, as the recipes for pgvector say.
The collection is drawn from the cell's seed. Its table carries a comment that says what
is in it: one that holds the same already is taken as it is, one that is not Escalade's is
left alone, with an error.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pg8000.native

from escalade.errors import InputError
from escalade.files import write_table
from escalade.load.faults import RefusedError
from escalade.load.stores import postgres
from escalade.load.stores.plan import Progress, prepared, say
from escalade.load.stores.vectors import Collection, ExactNeighbours

if TYPE_CHECKING:
    from escalade.load.stores.plan import PreparePlan
    from escalade.load.stores.vectors import Vectors

QUERIES = "queries.parquet"
_OURS = "escalade collection "
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.1
_NOT_IN_THE_TABLE = ("queries", "k", "ef_search", "probes", "connections")
_BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_END = b"\xff\xff"


def prepare(plan: PreparePlan) -> dict[str, Any]:
    """Load the collection unless it is there, write queries and neighbours; give a summary.

    Raises
    ------
    InputError
        When the parameters are wrong, the server refuses, or the table is somebody else's.
    OSError
        When the server can't be reached.
    """
    store = postgres.VectorStore.of(plan.parameters)
    collection = Collection(plan.seed, store.vectors, store.dimensions, store.distribution)
    connection = _connected(plan)
    try:
        facts = _put(connection, store, collection)
    except (pg8000.native.DatabaseError, pg8000.native.InterfaceError) as error:
        raise InputError(f"the server refused: {postgres.known(error)}") from error
    finally:
        postgres.close(connection)
    began = time.monotonic()
    _write_queries(plan, store, collection)
    return {**facts, "neighbours_seconds": round(time.monotonic() - began, 3)}


def _connected(plan: PreparePlan) -> pg8000.native.Connection:
    """Connect; a server that has just been started may refuse for a while."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return postgres.connect(plan.url, plan.parameters)
        except RefusedError as error:
            raise InputError(f"the server refused the connection: {error}") from None
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)


def _put(
    connection: pg8000.native.Connection, store: postgres.VectorStore, collection: Collection
) -> dict[str, Any]:
    _make_extension(connection)
    identity = _identity(store, collection)
    known = _comment(connection, store.table)
    began = time.monotonic()
    if known == identity:
        say(f"table {store.table} holds this collection already")
        loaded = indexed = began
    else:
        if known is not None:
            if not known.startswith(_OURS):
                raise InputError(
                    f"there is a table {store.table} that Escalade did not make. Remove it, or name "
                    "another one with the workload's parameter `table`."
                )
            connection.run(f"DROP TABLE {store.table}")
        _load(connection, store, collection)
        loaded = time.monotonic()
        _build(connection, store)
        indexed = time.monotonic()
        connection.run(f"COMMENT ON TABLE {store.table} IS '{identity}'")
    sizes = connection.run(
        "SELECT pg_table_size(CAST(:t AS regclass)), pg_indexes_size(CAST(:t AS regclass)), "
        "current_setting('server_version'), "
        "(SELECT extversion FROM pg_extension WHERE extname = 'vector')",
        t=store.table,
    )
    table_bytes, index_bytes, server, extension = sizes[0]
    return {
        "vectors": store.vectors,
        "dimensions": store.dimensions,
        "index": store.index,
        "load_seconds": round(loaded - began, 3),
        "index_seconds": round(indexed - loaded, 3),
        "table_bytes": table_bytes,
        "index_bytes": index_bytes,
        "postgresql": server,
        "pgvector": extension,
    }


def _make_extension(connection: pg8000.native.Connection) -> None:
    if connection.run("SELECT 1 FROM pg_extension WHERE extname = 'vector'"):
        return
    try:
        connection.run("CREATE EXTENSION vector")
    except pg8000.native.DatabaseError as error:
        raise InputError(
            f"the database has no pgvector ({postgres.known(error)}). Install its package on the "
            "server, or have its administrator say: CREATE EXTENSION vector"
        ) from None


def _identity(store: postgres.VectorStore, collection: Collection) -> str:
    """Say what is in the table: two that hold the same have the same comment."""
    content = {
        name: value for name, value in asdict(store).items() if name not in _NOT_IN_THE_TABLE
    }
    told = json.dumps({**content, "seed": collection.seed}, sort_keys=True)
    return f"{_OURS}{hashlib.sha256(told.encode()).hexdigest()}"


def _comment(connection: pg8000.native.Connection, table: str) -> str | None:
    """Give the comment of a table, "" where it has none; None when there is no such table."""
    found = connection.run("SELECT obj_description(to_regclass(:t)), to_regclass(:t)", t=table)
    comment, oid = found[0]
    return None if oid is None else str(comment or "")


def _load(
    connection: pg8000.native.Connection, store: postgres.VectorStore, collection: Collection
) -> None:
    connection.run(f"CREATE TABLE {store.table} (id integer, embedding vector({store.dimensions}))")
    connection.run(f"COMMENT ON TABLE {store.table} IS '{_OURS}(unfinished)'")
    progress = Progress("loaded {done} of {of} vectors")
    for first, vectors in collection.chunks():
        copy = f"COPY {store.table} (id, embedding) FROM STDIN WITH (FORMAT binary)"
        connection.run(copy, stream=io.BytesIO(as_binary(first, vectors)))
        progress(first + len(vectors), store.vectors)


def as_binary(first: int, vectors: Vectors) -> bytes:
    """Write rows (id, vector) as COPY's binary format has them; ids count from `first`."""
    count, dimensions = vectors.shape
    layout = [
        *(("fields", ">i2"), ("id_bytes", ">i4"), ("id", ">i4"), ("bytes", ">i4")),
        *(("dimensions", ">i2"), ("unused", ">i2"), ("vector", ">f4", (dimensions,))),
    ]
    rows = np.zeros(count, dtype=layout)
    rows["fields"], rows["id_bytes"], rows["id"] = 2, 4, np.arange(first, first + count)
    rows["bytes"], rows["dimensions"], rows["vector"] = 4 + 4 * dimensions, dimensions, vectors
    return _BINARY_HEAD + rows.tobytes() + _BINARY_END


def _build(connection: pg8000.native.Connection, store: postgres.VectorStore) -> None:
    if store.index_statement is not None:
        say(f"building the index ({store.index}) of {store.vectors:,} vectors")
        connection.run(store.index_statement)
    connection.run(f"VACUUM ANALYZE {store.table}")


def _write_queries(plan: PreparePlan, store: postgres.VectorStore, collection: Collection) -> None:
    queries = collection.queries(store.queries)
    exact = ExactNeighbours(queries, store.k, store.distance)
    progress = Progress(
        f"found the exact neighbours of {store.queries:,} queries among {{done}} of {{of}}"
    )
    for first, vectors in collection.chunks():
        exact.show(first, vectors)
        progress(first + len(vectors), store.vectors)
    frame = pd.DataFrame({"vector": as_texts(queries), "neighbours": list(exact.ids)})
    write_table(plan.folder / QUERIES, frame)


def as_texts(vectors: Vectors) -> list[str]:
    """Write vectors as pgvector reads them, with all digits that a float of 32 bits has."""
    return [f"[{','.join(format(value, '.9g') for value in row)}]" for row in vectors.tolist()]


def main(argv: list[str]) -> int:
    """Prepare what the plan says; give an exit code."""
    return prepared(argv, prepare)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
