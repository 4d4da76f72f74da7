"""What ran: machines, models, software, configuration, and how to do it again."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.sections.configuration import Line, configuration
from escalade.report.sections.identity import Facts, moment
from escalade.report.sections.machines import Machine, machines
from escalade.report.sections.software import software
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from escalade.report.data import ReportData

_CHECK = (
    "python3 -c 'import json\n"
    'for path, entry in json.load(open("MANIFEST.json"))["artifacts"].items():\n'
    '    print(entry["sha256"], path, sep="  ")\' | sha256sum --check --quiet'
)

_CHOSEN = "Marked and bold: not at its default."
_UNKNOWN = "What differs from the defaults is not known: this Escalade can't read the configuration by itself."


@dataclass(frozen=True)
class Origin:
    """Everything of the section "What ran"."""

    command: str
    reproduce: str
    verify: str
    cells: Table
    machines: list[Machine]
    software: Facts
    packages: Facts
    configuration: tuple[Line, ...]
    chosen: str


def origin(data: ReportData) -> Origin:
    """Collect what is needed to judge, repeat and check the campaign."""
    versions, packages = software(data.provenance)
    return Origin(
        command=words.clean(data.provenance.get("command") or ""),
        reproduce="\n".join(words.clean(line) for line in data.provenance.get("reproduce") or []),
        verify=_verification(data.name),
        cells=_cells(data),
        machines=machines(data),
        software=[*_seeds(data), *versions],
        packages=packages,
        configuration=configuration(data),
        chosen=_CHOSEN if data.chosen is not None else _UNKNOWN,
    )


def _verification(campaign: str) -> str:
    folder = shlex.quote(f"results/{campaign}")
    return f"escalade verify {folder}\n\n# or, with nothing of Escalade:\ncd {folder} && {_CHECK}"


def _cells(data: ReportData) -> Table:
    rows = []
    for cell, facts in zip(data.cells, data.facts, strict=True):
        start, end = known(cell.cell.get("started_at")), known(cell.cell.get("ended_at"))
        rows.append(
            (
                facts.name,
                words.clean(cell.cell.get("outcome") or "unknown"),
                words.clean(cell.cell.get("attempt") or NOTHING),
                words.clean(cell.cell.get("node") or NOTHING),
                words.clean((cell.environment.get("allocation") or {}).get("job") or NOTHING),
                moment(start),
                f"{end - start:.0f} s" if math.isfinite(end - start) else NOTHING,
                words.clean(cell.cell.get("definition_hash") or NOTHING)[:16],
            )
        )
    columns = (
        "Cell",
        "Outcome",
        "Attempt",
        "Node",
        "Job",
        "Started",
        "Took",
        "Definition (SHA-256)",
    )
    return Table(columns, tuple(rows))


def _seeds(data: ReportData) -> Facts:
    return [("Seed", words.clean(data.campaign.get("seed", "not recorded")))]
