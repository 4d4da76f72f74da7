"""Reading a campaign's configuration: one clear message for whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign.models import Campaign
from escalade.campaign.project import profile_folder, project_root
from escalade.campaign.site import with_site
from escalade.errors import InputError
from escalade.load.prompts import read_prompts
from escalade.services.loader import check_models, load_catalogue
from escalade.services.recipes import Recipe, load_recipe
from escalade.services.validation import read_yaml, validated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.campaign.models import Deployment

WORKLOADS = (
    "openai_chat",
    "openai_completions",
    "openai_embeddings",
    "pgvector",
    "plain_http",
    "s3",
)


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a campaign's YAML file.

    Raises
    ------
    InputError
        When the file is missing, is no YAML, or is no mapping.
    """
    return read_yaml(path, "campaign")


def profile_configuration(profile: str) -> dict[str, Any]:
    """Give what a Snakemake profile puts over the campaign's own keys, under its key `config`.

    Raises
    ------
    InputError
        When there is no such profile, or its `config` is no mapping.
    """
    path = profile_folder(profile) / "config.yaml"
    told = read_yaml(path, "profile").get("config") or {}
    if not isinstance(told, dict):
        raise InputError(f"{path}: config is {told!r}; expected lines `key: value` under it.")
    return told


def merged(content: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Put mappings over each other key by key, as Snakemake does with --config and profiles."""
    result = dict(content)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def resolve_campaign(content: Mapping[str, Any], source: str) -> Campaign:
    """Check a configuration against the models, recipes, catalogue and workloads.

    What it leaves open about Slurm comes from the site, see `escalade.campaign.site`.

    Parameters
    ----------
    content
        The parsed configuration.
    source
        What to call it in messages, usually its path.

    Raises
    ------
    InputError
        Naming file, key, value, what was expected and what to do next.
    """
    campaign = parse_campaign(with_site(content), source)
    _check_workload(campaign, source)
    recipes = recipes_of(campaign, source)
    for deployment in campaign.deployments:
        _check_deployment(deployment, recipes[deployment.recipe], source)
    return campaign


def parse_campaign(content: Mapping[str, Any], source: str) -> Campaign:
    """Check a configuration against the models alone: enough for results that are there.

    Raises
    ------
    InputError
        As `resolve_campaign`.
    """
    return validated(Campaign, dict(content), source)


def recipes_of(campaign: Campaign, source: str) -> dict[str, Recipe]:
    """Load the recipes that the deployments name."""
    folder = beside(source, "recipes")
    names = sorted({deployment.recipe for deployment in campaign.deployments})
    try:
        return {name: load_recipe(name, folder) for name in names}
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def beside(source: str, name: str) -> Path:
    """Give `name` beside the campaign's file where it exists, else in the project's config/."""
    own = Path(source).parent / name
    return own if own.exists() else project_root() / "config" / name


def canonical(campaign: Campaign) -> str:
    """Give the resolved configuration as one line of JSON with sorted keys."""
    return json.dumps(campaign.model_dump(mode="json"), sort_keys=True)


def _check_workload(campaign: Campaign, source: str) -> None:
    for part in campaign.workload.parts:
        _check_kind(part.kind, source)
        if part.prompts is not None:
            try:
                read_prompts(Path(part.prompts))
            except InputError as error:
                raise InputError(f"{source}: {error}") from None


def _check_kind(kind: str, source: str) -> None:
    if kind in WORKLOADS:
        return
    if kind.endswith(".py") and Path(kind).is_file():
        _check_locustfile(Path(kind), f"{source}: workload.kind")
        return
    raise InputError(
        f"{source}: workload.kind is {kind!r}, which is no workload of Escalade and no locustfile "
        f"that exists. Expected one of {', '.join(WORKLOADS)}, or the path of a locustfile (.py)."
    )


def _check_locustfile(path: Path, where: str) -> None:
    """Refuse a locustfile that Python can't read, before anything is started for it."""
    try:
        compile(path.read_bytes(), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise InputError(
            f"{where}: {path}, line {error.lineno}, is no valid Python: {error.msg}. "
            f"`python -m py_compile {path}` says the same."
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: {path} can't be read as Python: {error}.") from None


def _check_deployment(deployment: Deployment, recipe: Recipe, source: str) -> None:
    where = f"{source}: deployment {deployment.name!r}"
    recipe.check_parameters(deployment.parameters, where)
    catalogue = load_catalogue(beside(source, "models.yaml"))
    check_models(catalogue, recipe, deployment.profile, deployment.models, where)
    if deployment.replicas > 1 and (why := recipe.only_once):
        raise InputError(
            f"{where}: replicas is {deployment.replicas}, but recipe {recipe.name} can't have copies: "
            f"{why}. Leave replicas out."
        )
