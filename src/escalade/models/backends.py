"""What serves a model: a recipe, chosen by the kind of its file unless it was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InputError, ToolMissingError
from escalade.services.recipes import load_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.services.catalogue import ResolvedModel
    from escalade.services.recipes import Recipe

AUTO = "auto"
PLANNING = "planning"
"""Loads nothing: what a plan would be, without a service."""
_OF_A_FILE = ("llama_cpp",)
_OF_A_FOLDER = ("vllm", "transformers")
"""Recipes in the order in which they are tried."""


def backend_of(model: ResolvedModel, wanted: str, recipes: Path) -> Recipe:
    """Give the recipe that serves a model.

    Parameters
    ----------
    model
        With its file.
    wanted
        Name of a recipe, or "auto": a GGUF file is served by llama.cpp, a folder with a
        `config.json` by vLLM, else by Transformers.
    recipes
        Folder of the recipes.

    Raises
    ------
    InputError
        When no recipe is known for such a file, or the recipe takes no single model.
    ToolMissingError
        When the recipe needs what is not installed, naming all that were tried.
    """
    names = [wanted] if wanted != AUTO else _for(model)
    missing = []
    for name in names:
        recipe = load_recipe(name, recipes)
        if not recipe.models.minimum <= 1 <= recipe.models.maximum or recipe.external:
            raise InputError(
                f"model {model.name}: recipe {name} takes {recipe.models.expected} and can't be a "
                "backend of the loader. Expected one that starts a server with one model."
            )
        try:
            recipe.check_needs(elsewhere=False)
        except ToolMissingError as error:
            missing.append(str(error))
            continue
        return recipe
    raise ToolMissingError(f"model {model.name}: {' '.join(missing)}")


def _for(model: ResolvedModel) -> tuple[str, ...]:
    if model.path.is_dir():
        if (model.path / "config.json").is_file():
            return _OF_A_FOLDER
    elif model.path.suffix == ".gguf":
        return _OF_A_FILE
    raise InputError(
        f"model {model.name}: nothing is known that serves {model.path}. Expected a .gguf file "
        f"({_OF_A_FILE[0]}), or a folder with a config.json ({', '.join(_OF_A_FOLDER)}); name a "
        "recipe with --backend."
    )
