"""`escalade profile stat`: what the file of a session tells."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalade.cli.monitor.options import say, warn
from escalade.cli.tables import print_rows
from escalade.errors import NoDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from escalade.profiler.stat.reckoned import Reckoned

_GAPS = 10
_UNITS = {"percent": "%"}


DataFile = Annotated[
    Path,
    typer.Option(
        "--data", help="File of a session: its JSON or Parquet, or the JSON of gswarm 0.4.3."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Picture = Annotated[
    Path | None, typer.Option(help="Picture to draw: a name in .pdf, .png or .svg.")
]


def stat(data: DataFile, *, plot: Picture = None, as_json: Json = False) -> None:
    """Tell what each GPU of a session came to, and draw it over time.

    Exit code 2 when the file is missing, broken or without readings.
    """
    from escalade.profiler.stat.plot import kind_of  # noqa: PLC0415 - slow, and --help is not
    from escalade.profiler.stat.plot import plot as draw  # noqa: PLC0415
    from escalade.profiler.stat.reckoned import reckoned  # noqa: PLC0415

    if plot is not None:
        kind_of(plot)
    found = reckoned(data, drawn=plot is not None)
    if not found.devices:
        raise NoDataError(f"{data} holds no reading: no node sent any in this session.")
    if plot is not None and found.buckets is not None:
        draw(found.facts, found.devices, found.buckets, plot)
    if as_json:
        content = {"file": str(data), "plot": None if plot is None else str(plot)}
        typer.echo(json.dumps({**content, **found.to_json()}, indent=1, allow_nan=False))
    else:
        _print(found)
        if plot is not None:
            say(f"Drawn: {plot}")


def _print(found: Reckoned) -> None:
    facts = found.facts
    every = f", {facts.every}" if facts.every else ""
    frames = f"{found.frames} frame{'' if found.frames == 1 else 's'}"
    say(f"{facts.name}: {frames} with readings{every} ({facts.tool})")
    models = Counter(_model(name) for name in found.by_device)
    say(f"GPUs: {', '.join(f'{count} × {model}' for model, count in sorted(models.items()))}")
    for note in facts.notes:
        warn(note)
    _print_devices(found)
    if len(found.by_node) > 1:
        say("")
        _print_nodes(found.by_node)
    for gap in found.gaps[:_GAPS]:
        warn(f"{gap['node']}: {gap['missing']} readings missing, {gap['start']} to {gap['end']}")
    if len(found.gaps) > _GAPS:
        warn(f"… and {len(found.gaps) - _GAPS} more gaps: all are in the file.")


def _print_devices(found: Reckoned) -> None:
    told = found.by_device
    columns = [
        column
        for column in _columns(found.facts.units)
        if any(column.key in device for device in told.values())
    ]
    short = {name: ":".join(name.split(":", 2)[:2]) for name in told}
    names = short if len(set(short.values())) == len(short) else {name: name for name in told}
    print_rows(
        ("GPU", "missing\n", *(column.title for column in columns)),
        [
            (
                names[name],
                str(device["missing"]),
                *(column.text(device) for column in columns),
            )
            for name, device in told.items()
        ],
    )


def _print_nodes(told: dict[str, dict[str, Any]]) -> None:
    print_rows(
        ("node", "GPUs", "readings", "missing", "util. %\navg", "energy\nkJ"),
        [
            (
                name,
                *(str(node[key]) for key in ("gpus", "samples", "missing")),
                _number(node["avg_gpu_util"]),
                _number(node["energy_joules"], 1e-3),
            )
            for name, node in told.items()
        ],
    )


@dataclass(frozen=True)
class _Column:
    """Of the table: its title, the key that a GPU has when it has a value, how it is written."""

    title: str
    key: str
    text: Callable[[Mapping[str, Any]], str]


def _columns(units: Mapping[str, str]) -> list[_Column]:
    spreads = [("util.", "gpu_util"), ("memory", "gpu_memory"), ("power", "power")]
    # Without GB/s there are no totals: then the table has the rates.
    moved = [("PCIe", "dram_bandwidth"), ("NVLink", "gpu_bandwidth")]
    spreads += [each for each in moved if units.get(each[1], "GB/s") != "GB/s"]
    columns = []
    for title, name in spreads:
        unit = units.get(name, "")
        columns.append(
            _Column(f"{title} {_UNITS.get(unit, unit)}\navg/max", f"avg_{name}", _spread(name))
        )
    return [
        *columns,
        _Column("temp.\nmax °C", "max_temperature", _total("max_temperature", 1.0)),
        _Column("energy\nkJ", "energy_joules", _total("energy_joules", 1e-3)),
        _Column("PCIe\nGB", "pcie_gigabytes", _total("pcie_gigabytes", 1.0)),
        _Column("NVLink\nGB", "nvlink_gigabytes", _total("nvlink_gigabytes", 1.0)),
    ]


def _spread(name: str) -> Callable[[Mapping[str, Any]], str]:
    def text(told: Mapping[str, Any]) -> str:
        mean, most = told.get(f"avg_{name}"), told.get(f"max_{name}")
        return "–" if mean is None else f"{_number(mean)}/{_number(most)}"

    return text


def _total(name: str, factor: float) -> Callable[[Mapping[str, Any]], str]:
    return lambda told: _number(told.get(name), factor)


def _number(value: float | None, factor: float = 1.0) -> str:
    """Write three digits that count, or the whole number."""
    if value is None:
        return "–"
    scaled = value * factor
    return f"{scaled:.3g}" if abs(scaled) < 999.5 else f"{scaled:.0f}"


def _model(device: str) -> str:
    return device.split(":", 2)[-1]
