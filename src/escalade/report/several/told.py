"""What is set side by side of several campaigns: one row per campaign and deployment."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import at, level
from escalade.report.sections.capability import capacity
from escalade.report.sections.grading import grade
from escalade.report.sections.identity import commit, identity
from escalade.report.sections.objectives import objective
from escalade.report.twin.models import Overview
from escalade.report.twin.plain import number
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

_HARDWARE = ("cpu_model", "cpus", "memory_bytes")


@dataclass(frozen=True)
class Member:
    """One of several campaigns.

    Attributes
    ----------
    data
        Its results.
    folder
        Where it lies, as it was given.
    link
        Its own report, relative to the common page; empty where it has none.
    """

    data: ReportData
    folder: str
    link: str

    @property
    def label(self) -> str:
        """What it is called beside others; its folder where two have the same name."""
        return self.data.name


def labels(members: Sequence[Member]) -> list[str]:
    """Name the campaigns so that no two have the same name."""
    counts = Counter(member.label for member in members)
    return [
        member.label
        if counts[member.label] == 1
        else f"{member.label} ({words.clean(member.folder)})"
        for member in members
    ]


def overview(members: Sequence[Member]) -> list[Overview]:
    """Give a row for each deployment of each campaign, in the order given."""
    return [
        _row(member, label, deployment, cells)
        for member, label in zip(members, labels(members), strict=True)
        for deployment, cells in member.data.deployments.items()
    ]


def _row(member: Member, label: str, deployment: str, cells: tuple[CellFacts, ...]) -> Overview:
    data = member.data
    facts = dict(identity(data))
    graded = grade(data)
    rows = [row for row in data.slos if words.clean(row.get("deployment")) == deployment]
    counting = [row for row in rows if row.get("counts")]
    slo = _spoken(counting or rows)
    joint = data.joint_capacity_of(deployment)
    held = [joint] if joint is not None else data.capacity_of(deployment)
    only = held[0] if len(held) == 1 else {}
    starts = [known(cell.cell.get("started_at")) for cell in data.cells]
    return Overview(
        campaign=label,
        folder=words.clean(member.folder),
        deployment=deployment,
        measured_at=min((start for start in starts if math.isfinite(start)), default=None),
        system=facts.get("System", ""),
        source=commit(data.provenance).removeprefix("commit "),
        grade=graded and graded[0],
        verdicts=dict(Counter(words.clean(row.get("verdict")) for row in counting)),
        repetitions=len(cells),
        capacity_qps=number(only.get("capacity_qps")),
        ci_low=number(only.get("ci_low")),
        ci_high=number(only.get("ci_high")),
        capacity=_capacity(deployment, held) if data.axis.open else "",
        slo="" if slo is None else f"{objective(slo)} {at(level(slo))}",
        slo_value=number(slo.get("value")) if slo else None,
        slo_ci_low=number(slo.get("ci_low")) if slo else None,
        slo_ci_high=number(slo.get("ci_high")) if slo else None,
        slo_unit=words.clean(slo.get("unit") or "") if slo else "",
        slo_verdict=words.clean(slo.get("verdict") or "") if slo else "",
    )


def _capacity(deployment: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how much a deployment holds; its name stays as it is, also at the begin of a sentence."""
    told = capacity(deployment, rows)
    return f"{words.sentence(told) if told.startswith('how much') else told}".rstrip(".") + "."


def _spoken(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Choose the objective of a row: over all repetitions where there is one, at the highest rate that passes."""
    joint = [row for row in rows if row.get("cell") is None]
    of = joint or list(rows)
    passed = [row for row in of if row.get("verdict") == "PASS"]
    return max(passed, key=lambda row: level(row).value) if passed else next(iter(of), None)


def remarks(members: Sequence[Member]) -> list[str]:
    """Say what keeps the campaigns from being compared at sight."""
    told = []
    for what, of in (("hardware", _hardware), ("workload or load", _workload)):
        groups: dict[str, list[str]] = {}
        for member, label in zip(members, labels(members), strict=True):
            groups.setdefault(json.dumps(of(member.data), sort_keys=True, default=str), []).append(
                label
            )
        if len(groups) > 1:
            apart = "; ".join(words.listed(names) for names in groups.values())
            told.append(
                f"Different {what}: {apart}. Figures of different groups are not to be compared as if "
                "only the deployment differed."
            )
    if any(not member.data.axis.open for member in members):
        names = [
            label
            for member, label in zip(members, labels(members), strict=True)
            if not member.data.axis.open
        ]
        told.append(f"Not in the figures, since their load has no rate: {words.listed(names)}.")
    exploratory = [
        label
        for member, label in zip(members, labels(members), strict=True)
        if member.data.exploratory
    ]
    if exploratory:
        told.append(f"Exploratory, with short windows: {words.listed(exploratory)}.")
    told.append(
        "This page sets campaigns side by side and tests nothing: escalade compare tells a change from "
        "chance, escalade history finds when it came."
    )
    return told


def _hardware(data: ReportData) -> list[Any]:
    """Give the machines of a campaign: processors, cores, memory, GPUs."""
    found = {}
    for cell in data.facts:
        if cell.environment:
            node = cell.environment.get("node") or {}
            gpus = [gpu.get("name") for gpu in cell.environment.get("gpus") or []]
            machine = [[node.get(key) for key in _HARDWARE], gpus]
            found[json.dumps(machine, sort_keys=True, default=str)] = machine
    return [found[key] for key in sorted(found)]


def _workload(data: ReportData) -> Mapping[str, Any]:
    """Give what defines the requests and the load."""
    load = dict(data.campaign.get("load") or {})
    return {"workload": data.campaign.get("workload"), "load": load}
