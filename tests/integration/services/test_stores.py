"""A real PostgreSQL with pgvector, started or found by its recipe, and its collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalade.errors import ServiceFailedError
from escalade.files import read_table
from escalade.runtime import tools
from escalade.services import loader
from integration.load.stores import postgres
from integration.services.conftest import held

if TYPE_CHECKING:
    from integration.services.conftest import Place

SMALL = {"vectors": 300, "dimensions": 4, "queries": 10, "k": 3, "index": "none"}


@pytest.fixture
def database() -> None:
    """Have the tool: a campaign fetches it before it begins."""
    tools.ensure("postgres")


def inputs(folder: Path, said: list[str] | None = None) -> loader.CellInputs:
    folder.mkdir(parents=True, exist_ok=True)
    return loader.CellInputs(
        seed=1,
        prepared=folder / "prepared",
        private=folder,
        say=(said if said is not None else []).append,
    )


def test_a_database_is_started_filled_and_ended_and_leaves_nothing(
    database: None, place: Place, tmp_path: Path
) -> None:
    state = place.start("pgvector", parameters=SMALL, cell=inputs(tmp_path / "cell"))
    told = state["workload_parameters"]
    secret = Path(told["secret_file"])
    argv = state["service"]["argv"]
    scratch = Path(argv[argv.index("--data") + 1])

    assert state["outcome"] == "ready"
    assert state["url"].startswith("postgresql://escalade@127.0.0.1:")
    assert (told["k"], told["index"]) == (3, "none")
    assert state["service"]["prepared"]["vectors"] == 300
    assert len(read_table(Path(told["queries_file"]), "queries")) == 10
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text() not in str(state)
    assert scratch.exists()
    place.stop()
    assert not scratch.exists()


def test_a_database_that_is_there_is_filled_and_left(
    database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres(tmp_path) as there:
        monkeypatch.setenv("PGPASSWORD", there.secret_file.read_text())
        for place in held(tmp_path / "held"):
            state = place.start(
                "pgvector_external",
                parameters={**SMALL, "url": there.url},
                cell=inputs(tmp_path / "cell"),
            )
            (only,) = state["replicas"]
            assert (only["step"], only["pid"]) == (None, None)
            assert state["service"]["external_url"] == state["url"] == there.url
            assert state["service"]["prepared"]["vectors"] == 300
            assert not (tmp_path / "cell" / "secret").exists()
        assert there.process.poll() is None


def test_a_refused_preparation_is_a_failure_of_the_service_that_says_why(
    database: None, tmp_path: Path, place: Place
) -> None:
    with postgres(tmp_path) as there, pytest.raises(ServiceFailedError) as caught:
        place.start(
            "pgvector_external",
            parameters={**SMALL, "url": there.url},
            cell=inputs(tmp_path / "cell"),
        )

    assert caught.value.cause.startswith("the service could not be prepared: the server refused")
    assert caught.value.log_tail
