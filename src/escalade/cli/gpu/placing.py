"""The command `escalade gpu place`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalade.cli.gpu.sizes import cards_of, models_of, size_of
from escalade.cli.models.options import Catalogue, Json, catalogue_at
from escalade.cli.tables import print_rows
from escalade.gpu.placement import HEADROOM, Placement
from escalade.gpu.placement import place as placed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.gpu.placement import Card

LIVE = "live"


def place(
    models: Annotated[
        list[str],
        typer.Argument(help="NAME=SIZE, as in qwen_32b=16GB, or a name of the catalogue."),
    ],
    *,
    gpus: Annotated[
        str,
        typer.Option(help="Memory of each GPU, as in 24GB,24GB or 4x80GB; `live`: those here."),
    ] = LIVE,
    headroom: Annotated[float, typer.Option(help="Share of each GPU that stays free.")] = HEADROOM,
    host: Annotated[
        str | None,
        typer.Option(help="Memory of the host for what is offloaded; by default enough."),
    ] = None,
    catalogue: Catalogue = None,
    as_json: Json = False,
) -> None:
    """Say which models go on which GPUs, with a share of each kept free.

    Exit code 1 when a model fits nowhere.
    """
    named = any("=" not in word for word in models)
    sizes = models_of(models, catalogue_at(catalogue) if named else None)
    cards = _cards(gpus)
    memory = None if host is None else size_of(host, "--host")
    found = placed(sizes, cards, headroom=headroom, host_bytes=memory)
    if as_json:
        typer.echo(json.dumps(_content(found, sizes, cards, headroom), indent=1))
    else:
        _print(found, sizes, cards)
    if found.nowhere:
        raise typer.Exit(1)


def _cards(gpus: str) -> list[Card]:
    if gpus != LIVE:
        return cards_of(gpus)
    from escalade.gpu.cards import live_cards  # noqa: PLC0415 - NVML's library

    return live_cards()


def _print(found: Placement, sizes: Mapping[str, int], cards: Sequence[Card]) -> None:
    rows = [
        [name, _gigabytes(sizes[name]), _where(name, found)]
        for name in sorted(sizes, key=lambda name: (-sizes[name], name))
    ]
    print_rows(["model", "GB", "where"], rows)
    free = [
        [
            card.name,
            _gigabytes(card.total_bytes),
            _gigabytes(found.free_bytes[card.name]),
            f"{found.free_bytes[card.name] / card.total_bytes:.0%}",
        ]
        for card in cards
    ]
    print_rows(["GPU", "GB", "GB free", "free"], free)
    doubt = "" if found.optimal else "; the best found in time, a better one may exist"
    typer.echo(f"{found.strategy[0].upper()}{found.strategy[1:]}{doubt}.")


def _where(name: str, found: Placement) -> str:
    if name in found.on:
        on = found.on[name]
        return f"GPU {on[0]}" if len(on) == 1 else f"GPUs {', '.join(on)}, an equal part each"
    return "CPU (offloaded)" if name in found.offloaded else "nowhere: the host is too small"


def _content(
    found: Placement, sizes: Mapping[str, int], cards: Sequence[Card], headroom: float
) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "optimal": found.optimal,
        "headroom": headroom,
        "models": {name: sizes[name] for name in sorted(sizes)},
        "on": {name: list(names) for name, names in found.on.items()},
        "offloaded": list(found.offloaded),
        "nowhere": list(found.nowhere),
        "gpus": [
            {
                "name": card.name,
                "total_bytes": card.total_bytes,
                "used_bytes": card.used_bytes,
                "free_bytes": found.free_bytes[card.name],
            }
            for card in cards
        ],
    }


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f}"
