"""Reading a campaign's configuration: one clear message for whatever is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from escalade.campaign.models import Campaign
from escalade.errors import InputError
from escalade.services.loader import check_models, load_catalogue
from escalade.services.recipes import Recipe, load_recipe
from escalade.services.validation import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.campaign.models import Deployment

WORKLOADS = ("openai_chat", "plain_http")
SHIPPED = Path("config")
"""Where recipes and the model catalogue are, unless they lie beside the campaign's file."""


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a campaign's YAML file.

    Raises
    ------
    InputError
        When the file is missing, is no YAML, or is no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path} does not exist. Give a campaign's configuration, such as config/config.yaml."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}.") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds no campaign: expected keys such as `campaign:` and `deployments:`."
        )
    return content


def resolve_campaign(content: Mapping[str, Any], source: str) -> Campaign:
    """Check a configuration against the models, recipes, catalogue and workloads.

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
    campaign = parse_campaign(content, source)
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
    try:
        return Campaign.model_validate(dict(content))
    except ValidationError as error:
        raise InputError(explain(error, source)) from None


def recipes_of(campaign: Campaign, source: str) -> dict[str, Recipe]:
    """Load the recipes that the deployments name."""
    folder = beside(source, "recipes")
    names = sorted({deployment.recipe for deployment in campaign.deployments})
    return {name: load_recipe(name, folder) for name in names}


def beside(source: str, name: str) -> Path:
    """Give `name` beside the campaign's file where it exists, else in config/."""
    own = Path(source).parent / name
    return own if own.exists() else SHIPPED / name


def canonical(campaign: Campaign) -> str:
    """Give the resolved configuration as one line of JSON with sorted keys."""
    return json.dumps(campaign.model_dump(mode="json"), sort_keys=True)


def _check_workload(campaign: Campaign, source: str) -> None:
    kind = campaign.workload.kind
    if kind in WORKLOADS or (kind.endswith(".py") and Path(kind).is_file()):
        return
    raise InputError(
        f"{source}: workload.kind is {kind!r}, which is no workload of Escalade and no locustfile "
        f"that exists. Expected one of {', '.join(WORKLOADS)}, or the path of a locustfile (.py)."
    )


def _check_deployment(deployment: Deployment, recipe: Recipe, source: str) -> None:
    where = f"{source}: deployment {deployment.name!r}"
    recipe.check_parameters(deployment.parameters, where)
    catalogue = load_catalogue(beside(source, "models.yaml"))
    check_models(catalogue, recipe, deployment.profile, deployment.models, where)
