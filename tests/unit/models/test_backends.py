"""Which recipe serves a model, by its file or by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from escalade.errors import InputError, ToolMissingError
from escalade.models.backends import AUTO, backend_of
from escalade.services.catalogue import ResolvedModel

RECIPES = Path(__file__).parents[3] / "config" / "recipes"


def model(path: Path) -> ResolvedModel:
    return ResolvedModel("head", path, 1, 1)


def test_a_gguf_file_is_served_by_llama_cpp(tmp_path: Path) -> None:
    assert backend_of(model(tmp_path / "head.gguf"), AUTO, RECIPES).name == "llama_cpp"


def test_a_folder_is_served_by_vllm_or_transformers_and_both_are_named_when_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").touch()

    with pytest.raises(ToolMissingError) as caught:
        backend_of(model(tmp_path), AUTO, RECIPES)

    assert "Recipe vllm needs what is not installed: Python module vllm" in str(caught.value)
    assert "Recipe transformers needs what is not installed" in str(caught.value)


def test_what_nothing_serves_is_said_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected a \.gguf file"):
        backend_of(model(tmp_path), AUTO, RECIPES)


@pytest.mark.parametrize("name", ["truth_server", "pgvector_external"])
def test_a_recipe_without_a_model_is_no_backend(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="can't be a backend of the loader"):
        backend_of(model(tmp_path), name, RECIPES)
