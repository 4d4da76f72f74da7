"""The model catalogue: what is refused in it, and how a model's file is found."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from escalade.errors import InputError
from escalade.services.catalogue import ModelCatalogue, load_catalogue, resolve_model

SHIPPED = Path(__file__).parents[3] / "config" / "models.yaml"
HEAD = {"name": "head", "bucket": "small", "declared_megabytes": 1.5}
LAPTOP = {"memory_megabytes": 2000, "device": "cpu"}


def catalogue(folder: Path, *models: dict[str, Any], **profiles: dict[str, Any]) -> ModelCatalogue:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"models": list(models), "profiles": profiles}))
    return load_catalogue(path)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"declared_megabytes": -1},
            "models[0].declared_megabytes: -1 is not accepted; expected at least 0",
        ),
        ({"declared_megabytes": ".inf"}, "expected a number"),
        ({"bucket": "medum"}, "expected 'small', 'medium', 'large' or 'cpu'"),
        ({"memory": 3}, "models[0].memory: unknown key"),
        ({"name": "a b"}, "models[0].name"),
        ({"source": {"file": "x.gguf"}}, "expected either package and file, or path"),
        ({"source": {}}, "expected either package and file, or path"),
        (
            {"source": {"path": "x", "package": "y", "file": "z"}},
            "expected either package and file",
        ),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(
    tmp_path: Path, model: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        catalogue(tmp_path, HEAD | model)

    assert str(caught.value).startswith(f"{tmp_path / 'models.yaml'} can't be used")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "profile", [{"memory_megabytes": 0}, {"memory_megabytes": -5}, {"device": "tpu"}, {"vram": 8}]
)
def test_a_profile_that_makes_no_sense_is_refused(tmp_path: Path, profile: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"profiles\.laptop\."):
        catalogue(tmp_path, HEAD, laptop=LAPTOP | profile)


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="models have to differ in name; twice there: head"):
        catalogue(tmp_path, HEAD, HEAD | {"bucket": "large"})


def test_two_profiles_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("models: []\nprofiles:\n  a: {}\n  a: {}\n")

    with pytest.raises(InputError, match="the key 'a' stands twice"):
        load_catalogue(path)


def test_unknown_names_are_answered_with_those_there_are(tmp_path: Path) -> None:
    found = catalogue(tmp_path, HEAD, laptop=LAPTOP)

    with pytest.raises(InputError, match=r"no model 'heat'. Did you mean 'head'\? Valid: head\."):
        found.model("heat")
    with pytest.raises(InputError, match=r"no profile 'gpu'. Valid: laptop\."):
        found.profile("gpu")


def test_a_megabyte_is_a_million_bytes(tmp_path: Path) -> None:
    found = catalogue(tmp_path, HEAD, laptop=LAPTOP)

    assert found.model("head").declared_bytes == 1_500_000
    assert found.profile("laptop").memory_bytes == 2_000_000_000


def test_a_relative_path_begins_where_the_catalogue_is(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "head.gguf").write_bytes(b"weights")
    found = catalogue(tmp_path, HEAD | {"source": {"path": "files/head.gguf"}})

    model = resolve_model(found, "head")

    assert model.path == tmp_path / "files" / "head.gguf"
    assert model.size_bytes == 7
    assert model.declared_bytes == 1_500_000
    assert model.sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_folder_of_files_is_a_model_too(tmp_path: Path) -> None:
    folder = tmp_path / "head"
    (folder / "shards").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "shards" / "1.safetensors").write_bytes(b"weights")
    (folder / ".cache").write_bytes(b"not of the model")

    model = resolve_model(catalogue(tmp_path, HEAD | {"source": {"path": "head"}}), "head")

    lines = sorted(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in {"config.json": b"{}", "shards/1.safetensors": b"weights"}.items()
    )
    assert model.size_bytes == 9
    assert model.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"path": "gone.gguf"}, r"can't be used: .*gone\.gguf \(No such file or directory\)"),
        ({"path": "empty"}, "is neither a file nor a folder with files"),
        ({"package": "json", "file": "gone.gguf"}, "No such file or directory"),
        (
            {"package": "no_such", "file": "x", "install": "pip install no-such"},
            "package no_such, which is not installed here. Install it: pip install no-such",
        ),
        (None, "can be planned with but not loaded. Add `source"),
    ],
)
def test_a_file_that_is_not_there_is_told_with_what_to_do(
    tmp_path: Path, source: dict[str, str] | None, expected: str
) -> None:
    (tmp_path / "empty").mkdir()
    found = catalogue(tmp_path, HEAD | ({"source": source} if source else {}))

    with pytest.raises(InputError, match=expected):
        resolve_model(found, "head")


def test_the_demos_model_is_found_without_importing_its_package() -> None:
    model = resolve_model(load_catalogue(SHIPPED), "smollm2-135m")

    assert model.path.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert model.size_bytes == 98_362_432
