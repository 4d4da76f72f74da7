"""Upper bounds: how far a deployment is from what its hardware can do (docs/bounds.md).

A bound needs its inputs, each with its source. One that is missing is named with the way to give
it, and there is no bound then: nothing is guessed. More than the bound attained means that an input
is wrong; it is said and never cut off.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from escalade.analysis.bounds.bound import (
    CONFIGURED,
    DISK,
    MEMORY,
    NETWORK,
    SCALING,
    Bound,
    Input,
)
from escalade.analysis.bounds.bound_inputs import Measured, Sources
from escalade.analysis.bounds.token_bounds import cpu_bandwidth, token_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData

_OF_COPIES = ("replicas", "failover")
VALUE_BYTES = 4
"""Of a dimension of a vector, as pgvector stores it."""


def bound_rows(
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    gates: Sequence[Mapping[str, Any]],
    capacity: Sequence[Mapping[str, Any]],
    given: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Compute the upper bounds of a campaign.

    Parameters
    ----------
    kpis
        KPI rows of all cells.
    cells
        What was measured, in the order of the plan.
    gates, capacity
        As in verdicts.json.
    given
        Figures of the hardware that the configuration gives, by name.

    Returns
    -------
    list of dict
        Rows of `bounds` in verdicts.json: cell, deployment, step (None: the whole cell, and cell
        None: the deployment), name, kind, value, unit, attained, ratio, exceeded, inputs, words.
    """
    rows: list[dict[str, Any]] = []
    for cell in cells:
        invalid = frozenset(
            int(gate["step"])
            for gate in gates
            if gate["cell"] == cell.name and gate["outcome"] == "fail" and gate["invalidates"]
        )
        sources = Sources(given, cell.bounds)
        rows += _of_cell(Measured(cell, kpis[kpis["cell"] == cell.name], invalid, sources))
    return rows + list(_scaling_rows(cells, capacity))


def _of_cell(cell: Measured) -> list[dict[str, Any]]:
    if not cell.declared:
        why = (
            "the recipe declares nothing that bounds its service; docs/bounds.md says what to add"
            if cell.data.bounds
            else "this cell has no bounds.json: it was measured by an earlier release, or its service "
            "never got so far; measure it again to have its bounds"
        )
        nothing = Bound("none", CONFIGURED, "upper bounds", None, "", reason=why)
        return [{**nothing.row(cell.where()), "kind": "none", "words": f"no upper bound: {why}"}]
    rows: list[dict[str, Any]] = []
    if "tokens" in cell.declared:
        rows += token_rows(cell)
    if "scan" in cell.declared:
        rows += _scan_rows(cell)
    if "transfer" in cell.declared:
        rows += _transfer_rows(cell)
    if "configured" in cell.declared:
        rows += _configured_rows(cell)
    return rows


def _per_step(
    cell: Measured, bound: Bound, metric: str, steps: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Hold a KPI of every step against one bound; a bound that is missing has one row for all."""
    if bound.value is None:
        return [bound.row(cell.where())]
    return [
        bound.row(cell.where(step), attained, cell.low(step, metric), cell.note(step))
        for step in (cell.steps if steps is None else steps)
        if (attained := cell.value(step, metric)) is not None
    ]


def _scan_rows(cell: Measured) -> list[dict[str, Any]]:
    """Bound queries by the vectors that each of them reads."""
    declared = cell.declared["scan"]
    bandwidth, cache = cpu_bandwidth(cell.sources)
    count, width = (declared.get(name) for name in ("vectors", "dimensions"))
    inputs = [
        bandwidth,
        Input("vectors", count, "", "recipe: bounds.scan.vectors"),
        Input("dimensions", width, "", "recipe: bounds.scan.dimensions"),
        *cache,
    ]
    read = VALUE_BYTES * count * width if count and width else None
    cached = cache[0].value if cache else None
    reason = ""
    if not declared.get("exact"):
        reason = "an index is searched, and what it reads of the collection is not known"
    elif read and cached and read <= cached:
        reason = (
            f"the collection ({read / 1e6:.3g} MB) fits in the last-level cache "
            f"({cached / 1e6:.3g} MB), so queries need not read it from memory"
        )
    value = bandwidth.value / read if bandwidth.value and read and not reason else None
    bound = Bound(
        *("query_rate", MEMORY, "queries, each over the whole collection", value, "queries/s"),
        inputs=() if reason.startswith("an index") else inputs,
        reason=reason,
        beyond="the bandwidth is too low, or caches hold a part of the collection",
    )
    return _per_step(cell, bound, "throughput_qps")


def _transfer_rows(cell: Measured) -> list[dict[str, Any]]:
    """Bound the bytes of a store by link and disk, where these are given."""
    rows: list[dict[str, Any]] = []
    link = cell.sources.of("link_bytes_per_second", "bytes/s", None, "")
    disk = cell.sources.of("disk_bytes_per_second", "bytes/s", None, "")
    together = _on_one_node(cell.data)
    for kind, figure, beyond in (
        (NETWORK, link, "the link is faster than given, or answers are compressed on their way"),
        (DISK, disk, "the disk is faster than given, or memory holds what was read or written"),
    ):
        reason = ""
        if kind == NETWORK and together:
            reason = "client and service are on one node, with no network between them"
        for name, metric in (
            ("received", "received_bytes_per_second"),
            ("sent", "sent_bytes_per_second"),
        ):
            value = None if reason else figure.value
            inputs = () if reason else (figure,)
            subject = f"bytes {name} by the client"
            bound = Bound(f"{name}_bytes", kind, subject, value, "bytes/s", inputs, reason, beyond)
            if value is None:
                rows.append(
                    Bound("bytes", kind, "bytes", None, "bytes/s", inputs, reason).row(cell.where())
                )
                break
            rows += _per_step(cell, bound, metric)
    return rows


def _on_one_node(cell: CellData) -> bool:
    """Tell whether client and service share a node; unknown is taken for no."""
    allocation = cell.environment.get("allocation") or {}
    service = cell.environment.get("service") or {}
    if service.get("external_url"):
        return False
    return allocation.get("launcher") == "local" or allocation.get("client_node") in (
        allocation.get("service_nodes") or ()
    )


def _configured_rows(cell: Measured) -> list[dict[str, Any]]:
    """Bound requests by service times that are set, such as those of the truth server."""
    declared = cell.declared["configured"]
    rows = []
    for step in () if cell.mixed else cell.steps:
        attained = cell.value(step, "throughput_qps")
        if attained is None:
            continue
        tokens = cell.value(step, "input_tokens", "mean"), cell.value(step, "output_tokens", "mean")
        bound = _configured(declared, *tokens, cell.of_copies)
        if bound is None:
            continue
        low = cell.low(step, "throughput_qps")
        rows.append(bound.row(cell.where(step), attained, low, cell.note(step)))
    if rows:
        return rows
    reason = (
        "the requests of a mix take different times"
        if cell.mixed
        else "its slots, or the time of a request, are not set or not limited"
    )
    none = Bound("request_rate", CONFIGURED, "requests", None, "requests/s", reason=reason)
    return [none.row(cell.where())]


def _configured(
    declared: Mapping[str, float],
    asked: float | None,
    answered: float | None,
    copies: Sequence[Input],
) -> Bound | None:
    """Give the capacity that follows from service times, for requests of so many tokens in the mean."""
    number = next((each.value or 1.0 for each in copies), 1.0)
    given = [
        Input(
            name,
            value,
            "s" if name.endswith("seconds") else "",
            f"recipe: bounds.configured.{name}",
        )
        for name, value in declared.items()
    ]
    slots, batch = declared.get("slots"), declared.get("batch_sequences")
    seconds: float | None
    if answered is None:
        seconds = declared.get("request_seconds")
    elif batch:
        step, each = declared.get("step_seconds"), declared.get("sequence_seconds", 0.0)
        prompt = declared.get("prefill_seconds", 0.0) * (asked or 0.0)
        # a sequence takes part in a step for each of its tokens; its prompt lengthens one of them
        seconds = None if step is None else answered * (step + batch * each) + batch * prompt
        slots = batch
    else:
        seconds = declared.get("first_token_seconds", 0.0)
        seconds += max(0.0, answered - 1) * declared.get("token_seconds", 0.0)
    if not slots or not seconds:
        return None
    told = [("input_tokens", asked), ("output_tokens", answered)]
    used = [Input(name, value, "tokens", f"kpis: {name} mean") for name, value in told if value]
    return Bound(
        *("request_rate", CONFIGURED, "requests", number * slots / seconds, "requests/s"),
        inputs=[*given, *copies, *used],
        beyond="the service is quicker than it is set to be",
    )


def _scaling_rows(
    cells: Sequence[CellData], capacity: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Hold deployments of several replicas against those of one that are alike."""
    found: dict[str, tuple[float, str]] = {}
    for cell in cells:
        found.setdefault(cell.deployment, _copies(cell))
    for deployment, (count, alike) in found.items():
        single = next((name for name, known in found.items() if known == (1.0, alike)), None)
        one = None if single is None else _capacity_of(str(single), capacity)
        all_of_them = _capacity_of(deployment, capacity)
        if count <= 1 or one is None or all_of_them is None:
            continue
        bound = Bound(
            *("capacity", SCALING, f"capacity of {count:g} replicas", count * one[0], "requests/s"),
            inputs=[
                Input(
                    "replicas",
                    count,
                    "",
                    "replicas of the deployment, or bounds.replicas of the recipe",
                ),
                Input("capacity_of_one_replica", one[0], "requests/s", f"capacity of {single}"),
            ],
            beyond="one replica was measured below its capacity, or they differ in more than number",
        )
        yield bound.row({"cell": None, "deployment": deployment, "step": None}, *all_of_them)


def _copies(cell: CellData) -> tuple[float, str]:
    """Give how many copies of the service a cell has, and what cells of another number share with it."""
    declared = cell.bounds.get("recipe") or {}
    alike = {name: value for name, value in cell.deployed.items() if name not in _OF_COPIES}
    count = float(cell.replicas)
    if "replicas" in declared:
        count *= float(declared["replicas"])
        alike = {**alike, "parameters": declared.get("replicated")}
    return count, json.dumps(alike, sort_keys=True)


def _capacity_of(
    deployment: str, capacity: Sequence[Mapping[str, Any]]
) -> tuple[float, float | None] | None:
    """Give a deployment's capacity and its lower end: over its repetitions, else of a single cell."""
    rows = [row for row in capacity if row["deployment"] == deployment and row["capacity_qps"]]
    joint = next((row for row in rows if row["cell"] is None), rows[0] if len(rows) == 1 else None)
    return None if joint is None else (float(joint["capacity_qps"]), joint["ci_low"])
