"""What the campaign cost, and what serving costs at the rate that the objectives allow, as sentences and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.sections.held import only_estimated
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData

FORMULA = (
    "Price = nodes (or GPUs) of the service × price of an hour / 3600 s / rate at which the "
    "objectives hold × 1000 requests; of tokens: × 1 000 000 / output tokens per request. Its "
    "interval comes from that of the rate alone. The client's nodes are not in it."
)
HOURS = (
    "An allocation counts from the moment it is held until it is let go, start-up, pauses and failed "
    "attempts included, and a part of a node as a node; on one machine from the start of the driver "
    "to the end of the last cell. Analysis and report come after that and are not in it."
)
_PER = {"requests": "1000 requests", "output_tokens": "million output tokens"}
_BASIS = {"node": "by the node-hour", "gpu": "by the GPU-hour"}


@dataclass(frozen=True)
class CostView:
    """The section on cost."""

    sentences: tuple[str, ...]
    hours: Table
    serving: Table
    priced: bool


def cost_view(data: ReportData) -> CostView | None:
    """Give the section; None for results without one, as those of earlier releases."""
    found = data.verdicts.get("cost")
    if not isinstance(found, dict):
        return None
    serving = [row for row in found.get("serving") or [] if isinstance(row, dict)]
    priced = [row for row in serving if row.get("value") is not None]
    return CostView(
        sentences=(hours_sentence(data), *_serving_sentences(serving, data)),
        hours=_hours(found),
        serving=_serving(priced),
        priced=bool(priced),
    )


def hours_sentence(data: ReportData) -> str:
    """Say what the campaign cost in node-hours; empty where nothing tells."""
    found = data.verdicts.get("cost")
    rows = _rows(found) if isinstance(found, dict) else []
    if not isinstance(found, dict):
        return ""
    if not rows:
        return "What the campaign cost is not known: no cell tells when it was held."
    parts = [
        f"{words.counted_hours(known(row.get('node_hours')), 'node-hour')} in {_partition(row)}"
        for row in rows
    ]
    told = f"The campaign cost {words.listed(parts)}"
    lost = math.fsum(known(row.get("lost_node_hours")) for row in rows)
    if lost > 0:
        told += (
            f", of them {words.counted_hours(lost, 'node-hour')} in attempts that came to nothing"
        )
    if (untold := int(found.get("untold_attempts") or 0)) > 0:
        told += f"; {words.counted(untold, 'attempt')} beside that do not tell what they held"
    if math.isfinite(amount := known(found.get("amount"))):
        told += f"; at the given prices {words.plain(amount)}{words.NO_BREAK}{words.clean(found.get('currency'))}"
    return f"{told}."


def _partition(row: Mapping[str, Any]) -> str:
    name = words.clean(row.get("partition") or "")
    return "local (this machine)" if name == "local" else f"partition {name}"


def _rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found.get("partitions") or [] if isinstance(row, dict)]


def _serving_sentences(rows: Sequence[Mapping[str, Any]], data: ReportData) -> list[str]:
    """Say each price, or once per deployment why there is none."""
    told: dict[str, None] = {}
    for row in rows:
        where = words.clean(row.get("deployment") or "")
        if row.get("value") is None:
            why = words.clean(row.get("reason") or "no reason was given").rstrip(".")
            told[f"{where}: no price of serving, since {why}."] = None
        else:
            run = "" if row.get("cell") is None else " (this run only)"
            sure = ", an estimate that no step confirms," * _is_estimated(row, data)
            told[
                f"Serving {where} at the rate that keeps the objectives{sure} costs {_amount(row)} per "
                f"{_PER[str(row['per'])]}, {_BASIS[str(row['basis'])]}{run}."
            ] = None
    return list(told)


def _is_estimated(row: Mapping[str, Any], data: ReportData) -> bool:
    """Tell whether the rate of a price is one that no step confirms."""
    places = ("deployment", "cell")
    mine = [each for each in data.capacity if all(each.get(p) == row.get(p) for p in places)]
    return any(only_estimated(each) for each in mine)


def _amount(row: Mapping[str, Any]) -> str:
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    least = "at most " if row.get("at_most") else ""  # the rate was kept at the highest step
    return least + words.amount(
        known(row.get("value")), low, high, words.clean(row.get("unit") or "")
    )


def _hours(found: Mapping[str, Any]) -> Table:
    currency = words.clean(found.get("currency") or "")
    columns = (
        *("Partition", "Allocations", "Node-hours", "CPU-hours", "GPU-hours"),
        *("In lost attempts", "Price of an hour", "Amount"),
    )
    rows = []
    for row in _rows(found):
        price, amount = known(row.get("price_per_hour")), known(row.get("amount"))
        basis = {"node_hour": "per node", "gpu_hour": "per GPU"}.get(str(row.get("basis")), "")
        rows.append(
            (
                words.clean(row.get("partition") or ""),
                words.plain(known(row.get("allocations")), 0),
                *(
                    words.plain(known(row.get(key)))
                    for key in ("node_hours", "cpu_hours", "gpu_hours", "lost_node_hours")
                ),
                f"{words.plain(price)} {currency} {basis}" if basis else f"{NOTHING} (not given)",
                f"{words.plain(amount)} {currency}" if math.isfinite(amount) else NOTHING,
            )
        )
    return Table(columns, tuple(rows))


def _serving(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = (
        *("Deployment", "Price", "Per", "Priced", "Of the service", "Price of an hour"),
        *("Rate (requests/s)", "Tokens per request"),
    )
    table = []
    for row in rows:
        inputs = row.get("inputs") or {}
        unit = words.clean(row.get("unit") or "")
        table.append(
            (
                words.clean(row.get("cell") or row.get("deployment") or ""),
                _amount(row),
                _PER[str(row["per"])],
                _BASIS[str(row["basis"])],
                f"{_things(row)} in {words.clean(inputs.get('partition') or '')}",
                f"{words.plain(known(inputs.get('price_per_hour')))} {unit}",
                words.plain(known(inputs.get("slo_capacity_qps"))),
                words.plain(known(inputs.get("output_tokens_per_request"))),
            )
        )
    return Table(columns, tuple(table))


def _things(row: Mapping[str, Any]) -> str:
    """Count what is paid for: "1 node", "4 GPUs"."""
    count = int(known((row.get("inputs") or {}).get("count")))
    return words.counted(count, "node" if row.get("basis") == "node" else "GPU")
