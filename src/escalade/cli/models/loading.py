"""The command `escalade models load`."""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console

from escalade.cli.models.options import (
    STATE,
    Catalogue,
    Gpu,
    Headroom,
    Json,
    Names,
    ProfileName,
    State,
    catalogue_at,
    with_profile,
)
from escalade.cli.models.planning import content, words
from escalade.errors import InfrastructureError, InputError, ServiceFailedError
from escalade.gpu.cards import card_called
from escalade.models.backends import AUTO, PLANNING, backend_of
from escalade.models.exposed import LoadedModels
from escalade.models.holding import Holding, Interrupted, holding
from escalade.models.meters import GpuMeter, Meter, ResidentMeter
from escalade.runtime.exposition import serving
from escalade.services.catalogue import resolve_model
from escalade.services.planning import plan_load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from escalade.services.catalogue import CatalogueModel, ModelCatalogue
    from escalade.services.planning import LoadPlan
    from escalade.services.recipes import Recipe

_VISIBLE = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
COMPATIBLE = ("swarm",)


def load(
    names: Names = None,
    *,
    profile: ProfileName,
    backend: Annotated[
        str,
        typer.Option(
            help="Recipe of the servers; `auto` chooses by the model's file, and `planning` starts "
            "nothing."
        ),
    ] = AUTO,
    headroom: Headroom = 0.2,
    gpu: Gpu = None,
    catalogue: Catalogue = None,
    state: State = STATE,
    once: Annotated[
        bool, typer.Option("--once", help="Load, measure, give back, and end.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve the loader's metrics; 0: a free port."),
    ] = None,
    compat: Annotated[
        str, typer.Option(help="Add metric names of others: swarm (swarm_model_loaded).")
    ] = "",
    as_json: Json = False,
) -> None:
    """Load models until the next would spill, measure each, and hold them until Ctrl-C."""
    if compat not in ("", *COMPATIBLE):
        raise InputError(f"--compat: {compat!r} is unknown; expected {', '.join(COMPATIBLE)}.")
    known = with_profile(catalogue_at(catalogue), profile, gpu, headroom)
    plan = plan_load(known, profile, names or None)
    console = Console(stderr=as_json, markup=False, highlight=False, soft_wrap=True)
    for line in words(plan, profile):
        console.print(line)
    if backend == PLANNING:
        if as_json:
            typer.echo(json.dumps({**content(plan, profile), "measured_bytes": None}, indent=1))
        return
    served = _servers(known, plan, backend)
    meter, gpu_bytes = _meter(known, profile, gpu)

    def life() -> bool:
        with (
            holding(
                state, known, profile, meter=meter, gpu_bytes=gpu_bytes, say=console.print
            ) as held,
            _exposed(plan, profile, held, port, compatible=bool(compat)),
        ):
            whole = held.load(served, state.resolve() / "logs")
            if as_json:
                typer.echo(json.dumps(_measured(plan, profile, held, meter), indent=1))
            if whole and not once:
                console.print("Held until Ctrl-C.")
                _hold(held)
        return held.exceeded

    if _told(life):
        raise typer.Exit(1)


def _told(life: Callable[[], bool]) -> bool:
    """Live; end as a signal asked for, and show the log of a server that failed."""
    try:
        return life()
    except Interrupted:
        raise typer.Exit(130) from None
    except ServiceFailedError as error:
        for line in error.log_tail:
            Console(stderr=True).print(line, style="dim", markup=False, highlight=False)
        raise


def _hold(held: Holding) -> None:
    try:
        held.hold()
    except Interrupted:
        return


def _servers(
    catalogue: ModelCatalogue, plan: LoadPlan, backend: str
) -> list[tuple[CatalogueModel, Recipe]]:
    """Find file and server of every model before the first one is started."""
    from escalade.campaign.project import project_root  # noqa: PLC0415 - beside catalogue_at's

    recipes: Path = project_root() / "config" / "recipes"
    return [
        (model, backend_of(resolve_model(catalogue, model.name), backend, recipes))
        for model in plan.loaded
    ]


def _meter(catalogue: ModelCatalogue, profile: str, gpu: str | None) -> tuple[Meter, int | None]:
    if catalogue.profile(profile).device == "cpu":
        return ResidentMeter(), None
    card = card_called(gpu)
    os.environ.update(_VISIBLE, CUDA_VISIBLE_DEVICES=card.name)
    return GpuMeter(card.name), card.total_bytes


@contextmanager
def _exposed(
    plan: LoadPlan, profile: str, held: Holding, port: int | None, *, compatible: bool
) -> Iterator[None]:
    """Serve the loader's metrics meanwhile, where a port was said."""
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(LoadedModels(plan, profile, lambda: held.heads, compatible=compatible))
    with ExitStack() as stack:
        try:
            got = stack.enter_context(serving(registry, port=port))
        except OSError as error:
            raise InfrastructureError(f"--port {port} can't be had: {error.strerror}.") from None
        Console(stderr=True).print(f"Metrics: http://127.0.0.1:{got}/metrics", highlight=False)
        yield


def _measured(plan: LoadPlan, profile: str, held: Holding, meter: Meter) -> dict[str, object]:
    return {
        **content(plan, profile),
        "measured_bytes": held.taken_bytes,
        "method": meter.method,
        "exceeded": held.exceeded,
        "models": [dataclasses.asdict(head) for head in held.heads],
    }
