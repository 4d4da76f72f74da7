"""Options that several commands of `escalade models` have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from escalade.services.catalogue import ModelCatalogue

STATE = Path(".escalade/models")

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[MODELS]...", help="Models; by default all.")
]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile", help="Profile of the catalogue, or `live`: what is free of the GPU here."
    ),
]
Headroom = Annotated[float, typer.Option(help="Share of the GPU that `live` keeps free.")]
Gpu = Annotated[
    str | None, typer.Option(help="Index of the GPU; by default the first visible one.")
]
Catalogue = Annotated[
    Path | None, typer.Option(help="Model catalogue; by default config/models.yaml.")
]
State = Annotated[Path, typer.Option(help="Folder of the loader.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def catalogue_at(path: Path | None) -> ModelCatalogue:
    """Read the catalogue that was named, or the project's."""
    from escalade.campaign.project import project_root  # noqa: PLC0415 - not for --help
    from escalade.services.catalogue import load_catalogue  # noqa: PLC0415 - the same

    return load_catalogue(path or project_root() / "config" / "models.yaml")


def with_profile(
    catalogue: ModelCatalogue, profile: str, gpu: str | None, headroom: float
) -> ModelCatalogue:
    """Add the live profile where it is wanted."""
    from escalade.models.profiles import LIVE, with_live  # noqa: PLC0415 - NVML's library

    if profile != LIVE:
        return catalogue
    from escalade.gpu.cards import card_called  # noqa: PLC0415 - the same

    return with_live(catalogue, card_called(gpu), headroom)


def megabytes(size: int | None) -> str:
    """Write bytes as MB (10⁶ bytes)."""
    return "–" if size is None else f"{size / 1e6:,.0f}"
