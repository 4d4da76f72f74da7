"""A stressor beside a service, as a user writes it; `stressing` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from escalade.services.validation import Section

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign, Deployment

_OF_KIND = {"cpu": ("share",), "memory": ("megabytes",), "disk": ("megabytes", "folder")}
_OPTIONAL = ("share", "megabytes", "folder")


class Stress(Section):
    """A program that runs beside the service, on its CPUs, in all steps of the deployment."""

    kind: Literal["cpu", "memory", "disk"]
    """What is taken from the service: CPU time, memory bandwidth (by copying), or a disk (by writes that reach it)."""
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Number of its processes."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """With cpu: share of a CPU that each worker takes; all of it by default."""
    megabytes: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    """With memory: buffer of each worker. With disk: size of its file. In MiB; 256 by default."""
    folder: str | None = None
    """With disk: folder on the disk that is written to, on the service's node; /var/tmp by default."""

    @model_serializer(mode="wrap")
    def _as_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {name: value for name, value in content.items() if value is not None}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Stress:
        for name in _OPTIONAL:
            if getattr(self, name) is not None and name not in _OF_KIND[self.kind]:
                fitting = [kind for kind, names in _OF_KIND.items() if name in names]
                raise ValueError(f"{name} goes with kind: {' or '.join(fitting)} only")
        return self

    @property
    def words(self) -> str:
        """The stressor in a sentence."""
        workers = f"{self.workers} worker{'s' * (self.workers != 1)}"
        if self.kind == "cpu":
            return f"{workers} on CPU, each {self.share or 1.0:.0%} of one"
        size = f"{self.megabytes or 256} MiB each"
        return f"{workers} on {self.kind}, {size}"


def unstressed(campaign: Campaign, deployment: Deployment) -> str | None:
    """Name the deployment that is the same but for the stressor; None when there is none."""
    own = _without_stress(deployment)
    alike = (
        other.name
        for other in campaign.deployments
        if other.stress is None and _without_stress(other) == own
    )
    return next(alike, None)


def check_stress(campaign: Campaign) -> None:
    """Insist on a deployment without the stressor beside each one with it, and on a ladder.

    Raises
    ------
    ValueError
        Saying what is missing.
    """
    stressed = [each for each in campaign.deployments if each.stress is not None]
    if stressed and campaign.load.search is not None:
        raise ValueError(
            f"deployment {stressed[0].name!r} has a stressor, and what it costs is compared step by "
            "step; the steps of a search differ: give a ladder"
        )
    for deployment in stressed:
        if unstressed(campaign, deployment) is None:
            raise ValueError(
                f"deployment {deployment.name!r} has a stressor, and no deployment is the same "
                "without it: add one with the same recipe, models, profile and parameters"
            )


def _without_stress(deployment: Deployment) -> dict[str, Any]:
    return deployment.model_dump(mode="json", exclude={"name", "stress", "ready_timeout_seconds"})
