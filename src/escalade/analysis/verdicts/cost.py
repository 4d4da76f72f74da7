"""What a campaign cost in node-hours, and what serving costs at the rate that the objectives allow.

Hours come from the allocations: an allocation is paid for from the moment it is held until it is let
go, whatever ran in it. Prices are those that the site or the campaign gives; where there is none,
there is no amount.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.gate import left_out
from escalade.analysis.kpis.readings import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.verdicts.prices import Prices

LOCAL = "local"
"""Stands for the partition where a campaign runs on one machine, without a scheduler."""
NOT_RECORDED = "not recorded"
REQUESTS, TOKENS = 1_000, 1_000_000
"""How many requests and output tokens a price is for."""
_HOUR = 3600.0


@dataclass(frozen=True)
class Part:
    """Equal nodes of one partition in an allocation; `cpus` and `gpus` are of one node, None unknown."""

    name: str
    partition: str
    nodes: int
    cpus: int | None = None
    gpus: int | None = None


@dataclass(frozen=True)
class Holding:
    """An allocation as long as one attempt at a cell had it.

    Attributes
    ----------
    cell
        Name of the cell.
    start, end
        Unix seconds.
    parts
        What was held.
    job
        The scheduler's id; None on one machine.
    run, run_start
        The driver's run, and when it began; empty and NaN where that was not written down.
    driving
        Whether the driver itself ran in this allocation.
    lost
        Whether the attempt came to nothing.
    """

    cell: str
    start: float
    end: float
    parts: tuple[Part, ...]
    job: str | None = None
    run: str = ""
    run_start: float = math.nan
    driving: bool = False
    lost: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What it shares with others of the same allocation."""
        if self.job is not None:
            return "job", self.job
        return ("run", self.run) if self.run else ("cell", f"{self.cell} {self.start}")

    @property
    def paid_from(self) -> float:
        """When the allocation began to cost: with its driver, where that ran in it."""
        driven = self.job is None or self.driving
        known = driven and not math.isnan(self.run_start)
        return min(self.start, self.run_start) if known else self.start


def cost(
    holdings: Sequence[Holding],
    untold: int,
    prices: Prices,
    *,
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    verdicts: Mapping[str, Any],
) -> dict[str, Any]:
    """Give the section `cost` of verdicts.json.

    Parameters
    ----------
    holdings
        What was held for the campaign's cells, lost attempts included.
    untold
        Attempts of which nobody knows how long they held nodes.
    prices
        Of an hour.
    kpis
        KPI rows of all cells.
    cells
        What was measured, in the order of the plan.
    verdicts
        Its sections `gates` and `capacity`.

    Returns
    -------
    dict
        currency (None without prices), partitions, amount (None unless every partition has a
        price), untold_attempts, and serving: prices at the SLO capacity.
    """
    partitions = partition_rows(holdings, prices)
    amounts = [row["amount"] for row in partitions]
    whole = bool(amounts) and None not in amounts and not untold
    return {
        "currency": prices.currency or None,
        "partitions": partitions,
        "amount": math.fsum(amounts) if whole else None,
        "untold_attempts": untold,
        "serving": serving_rows(holdings, prices, kpis=kpis, cells=cells, verdicts=verdicts),
    }


def partition_rows(holdings: Sequence[Holding], prices: Prices) -> list[dict[str, Any]]:
    """Add up node-hours by partition, in the order in which partitions first appear.

    An allocation that serves several cells is paid for in between as well: it counts once, from its
    first cell to its last. So does the one machine of a local run, from the start of the driver on;
    cells that run side by side on it do not add up.
    """
    found: dict[str, _Hours] = {}
    for start, end, parts in _paid(holdings):
        for part in parts:
            found.setdefault(part.partition, _Hours()).add(part, (end - start) / _HOUR)
    for holding in holdings:
        for part in holding.parts if holding.lost else ():
            found[part.partition].lost += part.nodes * (holding.end - holding.start) / _HOUR
    return [hours.row(name, prices) for name, hours in found.items()]


@dataclass
class _Hours:
    """Hours in one partition."""

    allocations: int = 0
    nodes: float = 0.0
    cpus: float | None = 0.0
    gpus: float | None = 0.0
    lost: float = 0.0

    def add(self, part: Part, hours: float) -> None:
        self.allocations += 1
        self.nodes += part.nodes * hours
        self.cpus = _plus(self.cpus, part.cpus, part.nodes * hours)
        self.gpus = _plus(self.gpus, part.gpus, part.nodes * hours)

    def row(self, partition: str, prices: Prices) -> dict[str, Any]:
        amount, basis = None, None
        if (price := prices.node_hour.get(partition)) is not None:
            amount, basis = self.nodes * price, "node_hour"
        elif (price := prices.gpu_hour.get(partition)) is not None and self.gpus is not None:
            amount, basis = self.gpus * price, "gpu_hour"
        return {
            "partition": partition,
            "allocations": self.allocations,
            "node_hours": self.nodes,
            "cpu_hours": self.cpus,
            "gpu_hours": self.gpus,
            "lost_node_hours": self.lost,
            "price_per_hour": price,
            "basis": basis,
            "amount": amount,
        }


def _plus(so_far: float | None, each: int | None, node_hours: float) -> float | None:
    return None if so_far is None or each is None else so_far + each * node_hours


def _paid(holdings: Sequence[Holding]) -> Iterator[tuple[float, float, tuple[Part, ...]]]:
    """Give the times that were paid for, with what was held in them."""
    groups: dict[tuple[str, str], list[Holding]] = {}
    for holding in holdings:
        groups.setdefault(holding.key, []).append(holding)
    spans = [
        (min(each.paid_from for each in group), max(each.end for each in group), group[0])
        for group in groups.values()
    ]
    yield from ((start, end, one.parts) for start, end, one in spans if one.job is not None)
    here = [(start, end, one.parts) for start, end, one in spans if one.job is None]
    for start, end in _union((start, end) for start, end, _ in here):
        yield start, end, here[0][2]


def _union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join times that overlap: one machine is paid for once, however much runs on it."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def serving_rows(
    holdings: Sequence[Holding],
    prices: Prices,
    *,
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    verdicts: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Price requests and tokens at the rate up to which the objectives hold, nodes of the service alone.

    Of every deployment: over its repetitions where they have a capacity together, else of each cell.
    """
    rows: list[dict[str, Any]] = []
    gates = verdicts["gates"]
    for deployment in dict.fromkeys(cell.deployment for cell in cells):
        mine = [cell for cell in cells if cell.deployment == deployment]
        capacities = [row for row in verdicts["capacity"] if row["deployment"] == deployment]
        joint = [row for row in capacities if row["cell"] is None]
        service = _service(mine, holdings)
        for row in joint or capacities:
            names = [cell.name for cell in mine if row["cell"] in (None, cell.name)]
            tokens = tokens_per_request(kpis[kpis["cell"].isin(names)], gates)
            rows += _priced(row, service, tokens, prices)
    return rows


def tokens_per_request(kpis: pd.DataFrame, gates: Sequence[Mapping[str, Any]]) -> float | None:
    """Give the output tokens of an answer, over the answers of all valid steps; None where none are counted."""
    rows = rows_of(kpis)
    rows = rows[(rows["metric"] == "output_tokens") & rows["value"].notna() & (rows["n"] > 0)]
    total, answers = 0.0, 0
    for cell, part in rows.groupby("cell"):
        out = set(left_out([gate for gate in gates if gate["cell"] == cell]))
        valid = part[~part["step"].isin(out)]
        total += float((valid["value"] * valid["n"]).sum())
        answers += int(valid["n"].sum())
    return total / answers if answers and total > 0 else None


@dataclass(frozen=True)
class _Service:
    """What a service has: nodes and GPUs in all, and where."""

    partition: str
    nodes: int
    gpus: int


def _service(cells: Sequence[CellData], holdings: Sequence[Holding]) -> _Service | None:
    """Give the nodes of a deployment's service; None where they are not known."""
    for cell in cells:
        allocation = cell.environment.get("allocation") or {}
        if not allocation or (cell.environment.get("service") or {}).get("external_url"):
            continue
        parts = [p for it in holdings if it.cell == cell.name and not it.lost for p in it.parts]
        part = next((p for p in parts if p.name in ("service", "all")), None)
        gpus = allocation.get("service_gpus") or ()
        if allocation.get("launcher") == LOCAL:
            return _Service(LOCAL, 1, len(gpus) or len(cell.environment.get("gpus") or ()))
        nodes = len(allocation.get("service_nodes") or ())
        each = part.gpus if part and part.gpus is not None else len(gpus)
        return _Service(part.partition if part else NOT_RECORDED, nodes, nodes * each)
    return None


def _priced(
    capacity: Mapping[str, Any], service: _Service | None, tokens: float | None, prices: Prices
) -> list[dict[str, Any]]:
    """Price one capacity by the node and by the GPU, or say once why it can't be."""
    where = {"deployment": capacity["deployment"], "cell": capacity["cell"]}
    if why := _unpriced(capacity, service, prices):
        return [{**where, "basis": None, "per": None, "value": None, "reason": why}]
    assert service is not None  # noqa: S101 - `_unpriced` has seen to it
    rows = []
    for basis, count, table in (
        ("node", service.nodes, prices.node_hour),
        ("gpu", service.gpus, prices.gpu_hour),
    ):
        price = table.get(service.partition)
        if price is None or not count:
            continue
        for per, number, each in (("requests", REQUESTS, 1.0), ("output_tokens", TOKENS, tokens)):
            if each is None:
                continue
            share = count * price * number / (_HOUR * each)
            rows.append(
                {
                    **where,
                    "basis": basis,
                    "per": per,
                    "number": number,
                    "value": share / capacity["slo_capacity_qps"],
                    "ci_low": _over(share, capacity.get("slo_ci_high")),
                    "ci_high": _over(share, capacity.get("slo_ci_low")),
                    "at_most": bool(capacity.get("slo_at_least")),
                    "unit": prices.currency,
                    "reason": "",
                    "inputs": {
                        "partition": service.partition,
                        "price_per_hour": price,
                        "count": count,
                        "slo_capacity_qps": capacity["slo_capacity_qps"],
                        **({"output_tokens_per_request": each} if per == "output_tokens" else {}),
                    },
                }
            )
    return rows


def _over(share: float, rate: Any) -> float | None:
    """Divide by a bound of the capacity; None where that side is not bounded."""
    return share / rate if rate is not None and rate > 0 else None


def _unpriced(capacity: Mapping[str, Any], service: _Service | None, prices: Prices) -> str:
    """Say why a capacity has no price; empty when it has one."""
    if service is None:
        return "the nodes of the service are not known: it was there already, or never got so far"
    named = service.partition in prices.node_hour
    if not named and not (service.gpus and service.partition in prices.gpu_hour):
        return (
            f"no price is given for partition {service.partition}: write prices.node_hour or "
            "prices.gpu_hour into the site file or the campaign"
        )
    if not capacity["slo_capacity_qps"]:
        return f"the rate up to which the objectives hold is not known ({capacity['slo_reason']})"
    return ""
