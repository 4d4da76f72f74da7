"""Vector search in a real PostgreSQL with pgvector: recall, and what goes wrong."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from pg8000.native import DatabaseError, InterfaceError

from escalade.errors import InputError
from escalade.files import read_json, read_table, write_table
from escalade.load.stores.postgres import VectorStore, connect, known
from integration.load.stores import Store, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = {"vectors": 500, "dimensions": 8, "queries": 20, "k": 5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def search(plan_step: Any, run: Any) -> Callable[..., Any]:
    """Run a second of searches against a store."""

    def searched(store: Store, folder: Path, qps: float = 20, **parameters: Any) -> Any:
        told = {
            **SMALL,
            "secret_file": str(store.secret_file),
            "queries_file": str(folder / "queries.parquet"),
            **parameters,
        }
        return run(plan_step(store.url, qps, 1.0, workload="pgvector", parameters=told))

    return searched


def test_an_exact_search_finds_the_neighbours_that_numpy_finds(store: Store, search: Any) -> None:
    code, _, folder = store.prepare("prepare_pgvector", **SMALL, index="none", table="exact")
    summary = read_json(folder / "summary.json", "summary")
    done = search(store, folder, index="none", table="exact")

    assert code == 0
    assert (summary["vectors"], summary["index"]) == (500, "none")
    assert done.outcome["outcome"] == "measured"
    assert done.requests.error.isna().all()
    assert done.requests.note_recall.tolist() == [1.0] * 20
    assert sorted(done.requests.note_query) == list(range(20))
    assert (done.requests.sent_at >= done.requests.planned_at - 1e-3).all()


def test_recall_is_the_share_of_the_exact_neighbours(store: Store, search: Any) -> None:
    _, _, folder = store.prepare("prepare_pgvector", **SMALL, index="none", table="exact")
    frame = read_table(folder / "queries.parquet", "queries")
    # one of the five is exchanged for an id that no answer holds: 4 of 5 are found
    frame["neighbours"] = [np.array([*near[:4], 10_000]) for near in frame["neighbours"]]
    write_table(folder / "queries.parquet", frame)

    assert set(search(store, folder, index="none", table="exact").requests.note_recall) == {0.8}


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["cosine", "inner_product"])
def test_each_distance_has_its_own_neighbours(store: Store, search: Any, distance: str) -> None:
    given = {"index": "none", "table": f"by_{distance}", "distance": distance}
    _, _, folder = store.prepare("prepare_pgvector", **SMALL, **given)

    assert set(search(store, folder, **given).requests.note_recall) == {1.0}


@pytest.mark.slow
@pytest.mark.parametrize("index", ["hnsw", "ivfflat"])
def test_an_index_answers_and_may_miss(store: Store, search: Any, index: str) -> None:
    given: dict[str, Any] = {"index": index, "table": f"with_{index}", "lists": 20}
    _, _, folder = store.prepare("prepare_pgvector", **SMALL, **given)
    little = search(store, folder, **given, ef_search=5, probes=1).requests.note_recall
    much = search(store, folder, **given, ef_search=200, probes=20).requests.note_recall

    assert little.notna().all()
    assert much.mean() >= 0.98
    assert little.mean() < much.mean() or index == "hnsw"


@pytest.mark.slow
def test_a_collection_that_is_there_is_taken_and_another_is_not(store: Store) -> None:
    told = {**SMALL, "index": "none", "table": "kept"}
    _, first, _ = store.prepare("prepare_pgvector", **told)
    connection = connect(store.url, {"secret_file": str(store.secret_file)})
    filled = "SELECT count(*), pg_relation_filenode('kept') FROM kept"
    before = connection.run(filled)
    store.prepare("prepare_pgvector", **told)
    kept = connection.run(filled)
    store.prepare("prepare_pgvector", **{**told, "vectors": 50})
    other = connection.run(filled)
    connection.close()

    assert first.startswith("found the exact neighbours")
    assert before == kept == [[500, before[0][1]]]
    assert other[0][0] == 50


def test_a_table_of_somebody_else_is_left_alone(store: Store) -> None:
    connection = connect(store.url, {"secret_file": str(store.secret_file)})
    connection.run("CREATE TABLE IF NOT EXISTS theirs (precious integer)")
    code, said, _ = store.prepare("prepare_pgvector", **SMALL, table="theirs")
    left = connection.run("SELECT count(*) FROM theirs")
    connection.close()

    assert code == 2
    assert "a table theirs that Escalade did not make" in said
    assert left == [[0]]


def test_a_wrong_password_is_refused_and_never_a_traceback(
    store: Store, search: Any, tmp_path: Path
) -> None:
    _, _, folder = store.prepare("prepare_pgvector", **SMALL, table="kept2")
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed")
    code, said, _ = store.prepare("prepare_pgvector", **SMALL, secret_file=str(wrong))
    done = search(store, folder, secret_file=str(wrong))

    assert code == 2
    assert "the server refused the connection: 28P01" in said
    assert set(done.requests.error) == {"refused"}
    assert done.requests.note_recall.isna().all()
    assert "Traceback" not in done.step.log.read_text()


def test_a_missing_table_is_refused(store: Store, search: Any) -> None:
    _, _, folder = store.prepare("prepare_pgvector", **SMALL, table="kept3")
    done = search(store, folder, table="nowhere")

    assert set(done.requests.error) == {"refused"}
    assert done.outcome["outcome"] == "measured"


def test_more_requests_than_connections_wait_for_one(store: Store, search: Any) -> None:
    _, _, folder = store.prepare("prepare_pgvector", **SMALL, index="none", table="exact")
    done = search(store, folder, qps=200, index="none", table="exact", connections=1)

    assert done.requests.error.isna().all()
    assert (done.requests.note_recall == 1).all()


def test_a_database_that_dies_in_the_middle_is_told_and_nothing_hangs(
    tmp_path: Path, search: Any
) -> None:
    with postgres(tmp_path) as mortal:
        _, _, folder = mortal.prepare("prepare_pgvector", **SMALL)
        server = psutil.Process(mortal.process.pid).children()[0]

        def die() -> None:
            connection = connect(mortal.url, {"secret_file": str(mortal.secret_file)})
            while not connection.run(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT id FROM escalade%'"
            ):
                time.sleep(0.02)
            time.sleep(0.3)
            server.send_signal(signal.SIGQUIT)

        killer = threading.Thread(target=die)
        killer.start()
        done = search(mortal, folder, qps=40)
        killer.join()

    assert done.wall_seconds < 15
    assert done.requests.error.isna().sum() > 2
    assert set(done.requests.error.dropna()) <= {"reset", "connect"}
    assert len(done.requests.error.dropna()) > 2
    assert "Traceback" not in done.step.log.read_text()


def test_a_server_that_is_not_there_is_said_in_one_line(store: Store) -> None:
    for url, expected in (
        ("postgresql://escalade:secret@127.0.0.1/postgres", "holds a password"),
        ("http://127.0.0.1:5432", "is no address of a PostgreSQL"),
    ):
        with pytest.raises(InputError, match=expected):
            connect(url, {})
    with pytest.raises(ConnectionRefusedError):
        connect("postgresql://escalade@127.0.0.1:1/postgres", {})


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"k": 0}, "k of the workload is 0; expected a whole number from 1"),
        ({"vectors": True}, "vectors of the workload is True"),
        ({"index": "btree"}, "expected one of hnsw, none, ivfflat"),
        ({"table": "a; DROP TABLE b"}, "expected small letters"),
        ({"vectors": 5, "k": 6}, "there are only 5 vectors"),
    ],
)
def test_a_parameter_that_can_not_be_is_named(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        VectorStore.of(parameters)


def test_errors_of_the_driver_are_known_by_their_code() -> None:

    assert isinstance(known(DatabaseError({"C": "57P01", "M": "x"})), ConnectionResetError)
    assert isinstance(known(DatabaseError({"C": "57014", "M": "x"})), TimeoutError)
    assert "42P01: no table" in str(known(DatabaseError({"C": "42P01", "M": "no table"})))
    assert isinstance(known(InterfaceError("network error")), ConnectionResetError)
