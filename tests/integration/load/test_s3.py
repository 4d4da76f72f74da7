"""GET and PUT at a real S3 server that checks signatures: bytes, first bytes, and what goes wrong."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from escalade.errors import InputError
from escalade.files import read_json, write_json
from escalade.load.stores.objects import ObjectStore
from integration.load.stores import Store, object_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SMALL = {"objects": 10, "object_bytes": {"values": [100, 5000]}, "get_share": 0.5}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with object_store(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def move(plan_step: Any, run: Any) -> Callable[..., Any]:
    """Run a second of requests against a store."""

    def moved(store: Store, folder: Path, qps: float = 40, **parameters: Any) -> Any:
        told = {
            **SMALL,
            "secret_file": str(store.secret_file),
            "objects_file": str(folder / "objects.json"),
            **parameters,
        }
        return run(plan_step(store.url, qps, 1.0, workload="s3", parameters=told))

    return moved


def test_objects_are_got_and_put_whole(store: Store, move: Any) -> None:
    code, said, folder = store.prepare("prepare_s3", **SMALL)
    sizes = read_json(folder / "objects.json", "objects")["sizes"]
    done = move(store, folder)
    log = done.requests

    assert code == 0, said
    assert set(sizes) == {100, 5000}
    assert done.outcome["outcome"] == "measured"
    assert log.error.isna().all()
    assert set(log.status) == {200}
    gets, puts = log[log.note_put == 0], log[log.note_put == 1]
    assert 8 < len(puts) < 32
    assert set(gets.bytes_in) == {100, 5000}
    assert (gets.note_bytes_out == 0).all()
    assert set(puts.note_bytes_out) == {100, 5000}
    assert (log.sent_at <= log.first_chunk_at).all()
    assert (log.first_chunk_at <= log.ended_at).all()
    assert np.isnan(log.note_put).sum() == 0


def test_what_was_put_is_there_as_it_was_sent(store: Store, move: Any) -> None:
    _, _, folder = store.prepare("prepare_s3", **SMALL, prefix="second/")
    done = move(store, folder, prefix="second/", get_share=0.0)
    (put,) = store.folder.glob("scratch-link/escalade/second/put")
    found = sorted(path.stat().st_size for path in put.iterdir() if path.is_file())

    assert done.requests.error.isna().all()
    assert found
    assert set(found) <= {100, 5000}


def test_an_object_of_another_size_is_malformed(store: Store, move: Any) -> None:
    _, _, folder = store.prepare("prepare_s3", **SMALL)
    known = read_json(folder / "objects.json", "objects")
    write_json(folder / "objects.json", {**known, "sizes": [7] * 10})

    assert set(move(store, folder, get_share=1.0).requests.error) == {"malformed"}


def test_a_wrong_secret_is_refused_and_never_a_traceback(
    store: Store, move: Any, tmp_path: Path
) -> None:
    _, _, folder = store.prepare("prepare_s3", **SMALL)
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed")
    code, said, _ = store.prepare("prepare_s3", **SMALL, secret_file=str(wrong))
    done = move(store, folder, secret_file=str(wrong))

    assert code == 2
    assert "the object store refused bucket escalade: 403" in said
    assert set(done.requests.error) == {"http_4xx"}
    assert set(done.requests.status) == {403}
    assert "Traceback" not in done.step.log.read_text()


def test_a_missing_bucket_is_said_and_is_a_client_error(store: Store, move: Any) -> None:
    _, _, folder = store.prepare("prepare_s3", **SMALL)
    code, said, _ = store.prepare("prepare_s3", **SMALL, bucket="nowhere", create_bucket=False)
    done = move(store, folder, bucket="nowhere")

    assert code == 2
    assert "there is no bucket nowhere" in said
    assert set(done.requests.error) == {"http_4xx"}
    assert set(done.requests.status) == {404}


def test_a_store_that_dies_in_the_middle_is_told_and_nothing_hangs(
    tmp_path: Path, move: Any
) -> None:
    with object_store(tmp_path) as mortal:
        _, _, folder = mortal.prepare("prepare_s3", **SMALL)
        put = tmp_path / "scratch-link/escalade/escalade/put"

        def die() -> None:
            while not put.exists():
                time.sleep(0.01)
            time.sleep(0.3)
            mortal.process.kill()

        killer = threading.Thread(target=die)
        killer.start()
        done = move(mortal, folder)
        killer.join()

    assert done.wall_seconds < 15
    assert done.requests.error.isna().sum() > 2
    assert set(done.requests.error.dropna()) <= {"reset", "connect"}
    assert len(done.requests.error.dropna()) > 2


def test_without_credentials_the_preparation_says_where_they_belong(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    code, said, _ = store.prepare("prepare_s3", **SMALL, secret_file=None)

    assert code == 2
    assert "set AWS_ACCESS_KEY_ID" in said


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"objects": 0}, "objects of the workload is 0; expected a whole number from 1"),
        ({"get_share": 1.5}, "get_share of the workload is 1.5; expected a number from 0 to 1"),
        ({"object_bytes": {"uniform": [5, 1]}}, "object_bytes of the workload"),
        ({"object_bytes": "big"}, "object_bytes of the workload is 'big'"),
        ({"bucket": "a/b"}, "expected the name of a bucket"),
    ],
)
def test_a_parameter_that_can_not_be_is_named(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        ObjectStore.of(parameters)
