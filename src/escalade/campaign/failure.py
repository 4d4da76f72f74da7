"""A service, or one copy of it, that is killed on purpose in the middle of a step, as a user writes it; `killing` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from escalade.services.validation import Section

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign


class Failure(Section):
    """When a copy of each cell's service is killed (SIGKILL, with all its processes), and when it is started again."""

    step: Annotated[int, Field(ge=1)]
    """Number of the step in which it is killed."""
    at_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """When, in seconds after the start of the step's window."""
    restart_after_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """How long after that it is started again, by the same command on the same port; by default it stays dead."""
    replica: Annotated[int, Field(ge=1)] = 1
    """Which copy of the service is killed, where a deployment has replicas."""

    @model_serializer(mode="wrap")
    def _as_given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if content.get("replica") == 1:  # cells keep the hash that they had before this key
            del content["replica"]
        return {name: value for name, value in content.items() if value is not None}


def check_failure(campaign: Campaign) -> None:
    """Insist on a step that exists and is long enough, and on a copy that every deployment has.

    Raises
    ------
    ValueError
        Saying what does not fit.
    """
    failure, ladder = campaign.failure, campaign.load.ladder
    if failure is None:
        return
    if campaign.load.search is not None:
        raise ValueError(
            "failure names a step, and the steps of a search are not known beforehand; give a ladder"
        )
    fewer = [each for each in campaign.deployments if each.replicas < failure.replica]
    if fewer:
        raise ValueError(
            f"failure.replica is {failure.replica}, and deployment {fewer[0].name!r} has replicas: "
            f"{fewer[0].replicas}"
        )
    if failure.step > len(ladder):
        raise ValueError(f"failure.step is {failure.step}, and the ladder has {len(ladder)}")
    seconds = ladder[failure.step - 1].window_seconds
    if failure.at_seconds >= seconds:
        raise ValueError(
            f"failure.at_seconds is {failure.at_seconds:g}, and the window of step {failure.step} "
            f"lasts {seconds:g} s"
        )
    if failure.restart_after_seconds is None and failure.step < len(ladder):
        raise ValueError(
            f"failure leaves the service dead after step {failure.step}, and the ladder has "
            f"{len(ladder)}; give restart_after_seconds, or name the last step"
        )
