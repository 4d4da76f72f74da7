"""Which campaign this is: system, date of the measurement, commit of the sources."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData

Facts = list[tuple[str, str]]
"""Names with what is known, in the order in which they are shown."""


def identity(data: ReportData) -> Facts:
    """Give what the header says: system, date of the measurement, source."""
    nodes = [cell.environment.get("node") or {} for cell in data.facts]
    systems = dict.fromkeys(text for node in nodes if (text := processor(node)))
    starts = [known(cell.cell.get("started_at")) for cell in data.cells]
    began = min((start for start in starts if math.isfinite(start)), default=math.nan)
    deployments = len(data.deployments)
    size = (
        f"{words.counted(deployments, 'deployment')}, "
        f"{words.counted(data.repetitions, 'repetition')}"
    )
    return [
        ("System", words.listed(list(systems)) or "not recorded"),
        ("Measured", moment(began)),
        ("Campaign", size if deployments else "nothing measured"),
        ("Source", commit(data.provenance)),
    ]


def commit(provenance: Mapping[str, Any]) -> str:
    """Name the commit, and whether the sources differed from it."""
    given = provenance.get("source")
    source = given if isinstance(given, dict) else {}
    digits = source.get("commit")
    if not digits:
        return "commit not recorded"
    changed = " with uncommitted changes" if source.get("dirty") else ""
    return f"commit {words.clean(digits)[:12]}{changed}"


def moment(seconds: float) -> str:
    """Write Unix seconds as a date that needs no locale: "2026-11-22 02:31 UTC"."""
    if not math.isfinite(seconds):
        return "date not recorded"
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def processor(node: Mapping[str, Any]) -> str:
    """Name the processor of a node with its cores; empty when it is not recorded."""
    parts = [words.clean(node["cpu_model"])] if node.get("cpu_model") else []
    if node.get("cpus"):
        parts.append(words.counted(int(node["cpus"]), "core"))
    return ", ".join(parts)
