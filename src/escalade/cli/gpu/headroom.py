"""The command `escalade gpu headroom`."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from escalade.cli.models.options import STATE, Json, State
from escalade.cli.tables import print_rows
from escalade.errors import InputError
from escalade.gpu.headroom import HEADROOM
from escalade.models.engines import engine_at
from escalade.models.standing import Board
from escalade.models.watching import Look, Watch

if TYPE_CHECKING:
    from escalade.gpu.headroom import Judged


def headroom(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Look once (as without --duration).")
    ] = False,
    duration: Annotated[float, typer.Option(min=0, help="Seconds to watch.")] = 0.0,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    share: Annotated[
        float, typer.Option("--headroom", help="Share that is to be free.")
    ] = HEADROOM,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Page of metrics of an engine that reserves its memory, such as vLLM, with its GPUs "
            "behind @: http://127.0.0.1:8000/metrics@0. Those of the loader are known."
        ),
    ] = None,
    unload: Annotated[
        bool, typer.Option("--unload", help="Have the loader unload models until it suffices.")
    ] = False,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Say whether each GPU keeps its headroom; exit code 1: one does not, 4: not known of one."""
    if once and duration:
        raise InputError("--once and --duration: expected one of them.")
    if not 0 <= share < 1:
        raise InputError(f"--headroom: expected a share from 0 to below 1, as in 0.2, not {share}.")
    watch = Watch(share, [engine_at(text) for text in engine or []], Board(state))
    told = Console(stderr=as_json, markup=False, highlight=False, soft_wrap=True)
    looks = _watched(watch, duration, interval, told, unload=unload)
    worst = _worst(looks)
    if as_json:
        typer.echo(json.dumps(_content(looks, worst, share, watch.unloaded), indent=1))
    else:
        _print(worst, looks)
    outcomes = {gpu.outcome for gpu in worst}
    if "FAIL" in outcomes:
        raise typer.Exit(1)
    if "UNKNOWN" in outcomes:
        raise typer.Exit(4)


def _watched(
    watch: Watch, duration: float, interval: float, told: Console, *, unload: bool
) -> list[Look]:
    """Look until the time is over or Ctrl-C; after an unloading only what comes then counts."""
    looks: list[Look] = []
    try:
        for look in watch.looks(duration, interval):
            _say(told, look, looks)
            looks.append(look)
            while unload and (name := looks[-1].unload_first) is not None:
                if not watch.unload(name):
                    told.print(f"{name}: not given back in time; the loader does not answer.")
                    break
                told.print(f"{name}: given back.")
                looks = [watch.look()]
    except KeyboardInterrupt:
        if not looks:
            raise
    return looks


def _say(told: Console, look: Look, before: list[Look]) -> None:
    """Print what has changed; the first look has nothing to differ from, and the table has it."""
    outcomes = [gpu.outcome for gpu in look.gpus]
    if before and outcomes != [gpu.outcome for gpu in before[-1].gpus]:
        at = datetime.fromtimestamp(look.at, UTC).astimezone()
        for gpu in look.gpus:
            told.print(f"{at:%H:%M:%S} GPU {gpu.name}: {gpu.outcome}: {gpu.why}")


def _worst(looks: list[Look]) -> list[Judged]:
    """Give of each GPU the look that was worst: one that failed, was not known, or had least free."""
    order = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    every: dict[str, list[Judged]] = {}
    for look in looks:
        for gpu in look.gpus:
            every.setdefault(gpu.name, []).append(gpu)
    return [
        min(seen, key=lambda gpu: (order[gpu.outcome], gpu.free_share or 0.0))
        for seen in every.values()
    ]


def _print(worst: list[Judged], looks: list[Look]) -> None:
    columns = ["GPU", "GB", "GB used", "GB free", "judged by", "outcome", "why"]
    rows = [
        [
            gpu.name,
            f"{gpu.total_bytes / 1e9:.1f}",
            f"{gpu.used_bytes / 1e9:.1f}",
            f"{gpu.free_bytes / 1e9:.1f}",
            gpu.basis,
            gpu.outcome,
            gpu.why,
        ]
        for gpu in worst
    ]
    print_rows(columns, rows)
    if len(looks) > 1:
        typer.echo(f"The worst of {len(looks)} looks of each GPU.")
    if (first := looks[-1].unload_first) is not None:
        typer.echo(f"Unload first: {first} ({looks[-1].why_first}): escalade models unload {first}")


def _content(
    looks: list[Look], worst: list[Judged], share: float, unloaded: list[str]
) -> dict[str, Any]:
    return {
        "headroom": share,
        "looks": len(looks),
        "gpus": [{**dataclasses.asdict(gpu), "free_bytes": gpu.free_bytes} for gpu in worst],
        "unload_first": looks[-1].unload_first,
        "why_first": looks[-1].why_first or None,
        "unloaded": unloaded,
    }
