"""Which cells are a pair, and what speaks against comparing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.gate import why_invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.measured.cell import CellData

FIRST, SECOND = "A", "B"
ONE_SIDED = ("neighbours", "client_server_agreement")
"""Gates that take samples and are not about the monitoring itself."""
LONG_SECONDS = 600.0
"""Between the two of a pair: what is drift by then."""


@dataclass(frozen=True)
class Pair:
    """Two cells of one repetition."""

    repetition: int
    baseline: CellData
    candidate: CellData

    @property
    def cells(self) -> tuple[CellData, CellData]:
        """The baseline's cell and the candidate's."""
        return self.baseline, self.candidate


def pairs_of(cells: Sequence[CellData], baseline: str, candidate: str) -> list[Pair]:
    """Put the cells of one repetition together, in the order of the repetitions."""
    of: dict[str, dict[int, CellData]] = {baseline: {}, candidate: {}}
    for cell in cells:
        if cell.deployment in of:
            of[cell.deployment][cell.repetition] = cell
    first, second = of[baseline], of[candidate]
    return [Pair(number, first[number], second[number]) for number in sorted({*first} & {*second})]


def untrusted_steps(gates: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], dict[str, str]]:
    """Give the gates that invalidate and did not pass, by step (cell, number), each with its words."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for wanted in ("fail", "unknown"):
        for gate in gates:
            if not gate["invalidates"] or gate["outcome"] != wanted:
                continue
            name = str(gate["gate"])
            told = (
                why_invalid(gate)
                if wanted == "fail"
                else f"gate {name} could not be checked: {gate['detail']}"
            )
            found.setdefault((str(gate["cell"]), int(gate["step"])), {})[name] = told
    return found


def why_left_out(
    pair: Pair, step: int, untrusted: Mapping[tuple[str, int], Mapping[str, str]]
) -> str | None:
    """Say why a step of a pair can't be compared; None when it can.

    A gate that only a monitored cell can fail, whatever goes on beside it, is set aside where the
    other cell of the pair was not monitored: else disturbed runs would be left out on one side alone.
    """
    if (other := _other_hardware(pair)) is not None:
        return other
    aside = ONE_SIDED if pair.baseline.monitored != pair.candidate.monitored else ()
    told = []
    for cell in pair.cells:
        failed = untrusted.get((cell.name, step), {})
        first = next((words for name, words in failed.items() if name not in aside), None)
        told += [f"{cell.deployment}: {first}"] if first else []
    return "; ".join(told) or None


def _other_hardware(pair: Pair) -> str | None:
    """Say what the two cells ran on where that is not the same; what is not known is no difference."""
    first, second = (_hardware(cell) for cell in pair.cells)
    return next(
        (
            f"other hardware: {first[part]} and {second[part]}"
            for part in first
            if first[part] and second[part] and first[part] != second[part]
        ),
        None,
    )


def _hardware(cell: CellData) -> dict[str, str]:
    node = cell.environment.get("node") or {}
    gpus = sorted(str(gpu.get("name")) for gpu in cell.environment.get("gpus") or ())
    return {"cpu": str(node.get("cpu_model") or ""), "gpus": ", ".join(gpus)}


def monitored_side(pairs: Sequence[Pair]) -> dict[str, str] | None:
    """Name the deployments with monitoring `on` and `off`, where nothing else sets them apart."""
    for pair in pairs[:1]:
        plain = [_without_monitoring(cell) for cell in pair.cells]
        if pair.baseline.monitored == pair.candidate.monitored or None in plain:
            return None
        if plain[0] == plain[1]:
            on, off = sorted(pair.cells, key=lambda cell: not cell.monitored)
            return {"on": on.deployment, "off": off.deployment}
    return None


def _without_monitoring(cell: CellData) -> dict[str, Any] | None:
    definition = cell.cell.get("definition")
    if definition is None:
        return None
    deployment = {
        key: value for key, value in definition["deployment"].items() if key != "monitoring"
    }
    return {**definition, "deployment": deployment}


def described(pair: Pair, cells: Sequence[CellData]) -> dict[str, Any]:
    """Tell in which order the two of a pair ran, how long apart, and what else sets them apart."""
    told: dict[str, Any] = {"repetition": pair.repetition, "cells": [c.name for c in pair.cells]}
    begun = [at for cell in pair.cells if (at := _time(cell, "started_at")) is not None]
    if len(begun) < len(pair.cells):
        return {**told, "order": None, "seconds_between": None, "remarks": []}
    turned = begun[1] < begun[0]
    first, second = pair.cells[::-1] if turned else pair.cells
    ended = _time(first, "ended_at")
    between = None if ended is None else max(begun) - ended
    return {
        **told,
        "order": f"{SECOND}{FIRST}" if turned else f"{FIRST}{SECOND}",
        "seconds_between": between,
        "remarks": [*_apart(first, min(begun), max(begun), cells), *_moved(first, second)],
    }


def _apart(first: CellData, since: float, until: float, cells: Sequence[CellData]) -> list[str]:
    """Say so where the two did not follow each other: side by side, or with much between them."""
    ended = _time(first, "ended_at")
    if ended is not None and until < ended:
        return ["the two ran side by side, and disturbed each other"]
    others = [cell for cell in cells if since < (_time(cell, "started_at") or since) < until]
    long = ended is not None and until - ended > max(LONG_SECONDS, ended - since)
    if not (others or long):
        return []
    what = "with something else between them" if others else "which is long"
    words = (
        f"the two began {until - since:.0f} s apart, {what}: a drift of the machine counts as a "
        "difference there"
    )
    return [words]


def _moved(first: CellData, second: CellData) -> list[str]:
    nodes = [str(cell.cell.get("node") or "") for cell in (first, second)]
    return [] if nodes[0] == nodes[1] else [f"they ran on different nodes: {', '.join(nodes)}"]


def _time(cell: CellData, name: str) -> float | None:
    told = cell.cell.get(name)
    return None if told is None else float(told)
