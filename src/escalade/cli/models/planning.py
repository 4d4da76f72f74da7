"""The command `escalade models plan`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from escalade.cli.models.options import (
    Catalogue,
    Gpu,
    Headroom,
    Json,
    Names,
    ProfileName,
    catalogue_at,
    megabytes,
    with_profile,
)
from escalade.cli.tables import print_rows
from escalade.services.planning import plan_load

if TYPE_CHECKING:
    from escalade.services.planning import LoadPlan


def plan(
    names: Names = None,
    *,
    profile: ProfileName,
    headroom: Headroom = 0.2,
    gpu: Gpu = None,
    catalogue: Catalogue = None,
    as_json: Json = False,
) -> None:
    """Say which models would be loaded into a profile's memory, and where it ends."""
    known = with_profile(catalogue_at(catalogue), profile, gpu, headroom)
    found = plan_load(known, profile, names or None)
    if as_json:
        typer.echo(json.dumps(content(found, profile), indent=1))
        return
    print_rows(["model", "bucket", "MB declared", "MB together"], rows(found))
    for line in words(found, profile):
        typer.echo(line)


def rows(plan: LoadPlan) -> list[list[str]]:
    """Give a row for each model that is loaded."""
    together, written = 0, []
    for model in plan.loaded:
        together += model.declared_bytes
        written.append(
            [model.name, model.bucket, megabytes(model.declared_bytes), megabytes(together)]
        )
    return written


def words(plan: LoadPlan, profile: str) -> list[str]:
    """Say what a plan comes to."""
    count = len(plan.loaded)
    taken = f"{megabytes(plan.declared_bytes)} of {megabytes(plan.budget_bytes)} MB"
    lines = [f"{profile}: {count} model{'s' * (count != 1)}, {taken}."]
    if plan.spilled:
        first, others = plan.spilled[0], [model.name for model in plan.spilled[1:]]
        lines.append(
            f"{first.name} ({megabytes(first.declared_bytes)} MB) would spill, and ends the plan"
            + (f"; not reached: {', '.join(others)}." if others else ".")
        )
    if plan.skipped:
        skipped = ", ".join(model.name for model in plan.skipped)
        lines.append(f"Skipped, since they run on the CPU: {skipped}.")
    return lines


def content(plan: LoadPlan, profile: str) -> dict[str, Any]:
    """Give the plan as plain JSON content, sizes in bytes."""
    return {
        "profile": profile,
        "budget_bytes": plan.budget_bytes,
        "declared_bytes": plan.declared_bytes,
        "loaded": [
            {"model": it.name, "bucket": it.bucket, "declared_bytes": it.declared_bytes}
            for it in plan.loaded
        ],
        "skipped": [model.name for model in plan.skipped],
        "spilled": [model.name for model in plan.spilled],
    }
