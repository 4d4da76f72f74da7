"""Which models go into memory, in which order: a pure function of catalogue, profile and wish.

The plan walks the buckets small, medium, large, cpu, and within each the models
in the order of the file. A model is loaded when the declared memory of all loaded
so far and its own is within the profile's; the first one that would spill over
ends the plan, even if a later, smaller one would still fit: so a bigger budget
only ever adds models at the end. On a GPU, models of the bucket cpu take none of
its memory and are skipped and listed; where the profile is the host's own memory
they count like the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.services.catalogue import BUCKETS, CatalogueModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from escalade.services.catalogue import ModelCatalogue, Profile
    from escalade.services.recipes import Recipe


@dataclass(frozen=True)
class LoadPlan:
    """What is loaded into a profile's memory.

    Parameters
    ----------
    budget_bytes
        The profile's memory.
    loaded
        In the order of loading.
    skipped
        Models that run on the CPU while the profile is a GPU's.
    spilled
        The first model that would not have fit, and all after it.
    """

    budget_bytes: int
    loaded: tuple[CatalogueModel, ...]
    skipped: tuple[CatalogueModel, ...]
    spilled: tuple[CatalogueModel, ...]

    @property
    def declared_bytes(self) -> int:
        """Declared memory of what is loaded."""
        return sum(model.declared_bytes for model in self.loaded)


def plan_load(
    catalogue: ModelCatalogue, profile: str | Profile, wanted: Iterable[str] | None = None
) -> LoadPlan:
    """Decide what is loaded, in which order.

    Parameters
    ----------
    catalogue
        The models and profiles.
    profile
        The profile, or its name in the catalogue.
    wanted
        Names of models, in any order; by default all of the catalogue.

    Raises
    ------
    InputError
        When the profile or a model is unknown.
    """
    target = catalogue.profile(profile) if isinstance(profile, str) else profile
    chosen = {catalogue.model(name).name for name in wanted} if wanted is not None else None
    ordered = sorted(
        (model for model in catalogue.models if chosen is None or model.name in chosen),
        key=lambda model: BUCKETS.index(model.bucket),  # stable: file order within a bucket
    )
    skipped = [model for model in ordered if model.bucket == "cpu" and target.device == "gpu"]
    candidates = [model for model in ordered if model not in skipped]
    count = _fitting(candidates, target.memory_bytes)
    return LoadPlan(
        budget_bytes=target.memory_bytes,
        loaded=tuple(candidates[:count]),
        skipped=tuple(skipped),
        spilled=tuple(candidates[count:]),
    )


def _fitting(models: Sequence[CatalogueModel], budget_bytes: int) -> int:
    """Count the leading models that fit together."""
    total = 0
    for count, model in enumerate(models):
        total += model.declared_bytes
        if total > budget_bytes:
            return count
    return len(models)


def check_models(
    catalogue: ModelCatalogue, recipe: Recipe, profile: str, models: Sequence[str], where: str
) -> None:
    """Insist that a recipe can be started with these models in this profile.

    Parameters
    ----------
    catalogue, profile
        Where the models and their budget come from.
    recipe
        Says how many models it takes.
    models
        Names of models.
    where
        Begins the message, as in "config.yaml: deployment 'small'".

    Raises
    ------
    InputError
        When the number is wrong, a name is unknown or doubled, or they do not all fit.
    """
    count = recipe.models
    if not count.minimum <= len(models) <= count.maximum:
        given = ", ".join(models) or "none"
        raise InputError(
            f"{where}: recipe {recipe.name} takes {count.expected}, and models are: {given}."
        )
    if len(set(models)) < len(models):
        raise InputError(f"{where}: a model stands twice in models: {', '.join(models)}.")
    if not models:
        return
    try:
        plan = plan_load(catalogue, profile, models)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    _refuse_left_out(catalogue, plan, profile, where)


def _refuse_left_out(catalogue: ModelCatalogue, plan: LoadPlan, profile: str, where: str) -> None:
    if plan.spilled:
        first = plan.spilled[0]
        raise InputError(
            f"{where}: model {first.name} ({first.declared_megabytes:g} MB declared) does not fit "
            f"into profile {profile}: {plan.declared_bytes / 1e6:g} MB of "
            f"{plan.budget_bytes / 1e6:g} MB are taken before it. Choose another profile or fewer "
            f"models, or correct the figures in {catalogue.location}."
        )
    if plan.skipped:
        host = [name for name, known in catalogue.profiles.items() if known.device == "cpu"]
        raise InputError(
            f"{where}: model {plan.skipped[0].name} runs on the CPU, and profile {profile} is a "
            f"GPU's. Choose a profile of the host's memory: {', '.join(host) or 'there is none'}."
        )
