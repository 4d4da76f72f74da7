"""The executive summary: plain sentences made from the results.

Every function gives text for given data and nothing else, so that what a
stakeholder reads is tested word by word. A sentence never claims more than the
verdict behind it: "at least" where nothing gave way, "this run only" where
there is one repetition, and no interval over runs that were not made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.gates.gate import two_digits
from escalade.analysis.stats.intervals import MIN_REPETITIONS
from escalade.report import words
from escalade.report.marks import Marks
from escalade.report.sections import search
from escalade.report.sections.capability import capacity, driven, speed
from escalade.report.sections.cost import hours_sentence
from escalade.report.sections.energy import energy_sentence
from escalade.report.sections.held import holds
from escalade.report.sections.judgement import (
    informative,
    judgement,
    objectives,
    run_of,
    verdicts_of,
)
from escalade.report.words import NO_BREAK, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts


@dataclass(frozen=True)
class Statement:
    """One sentence of the summary; `verdict` is the word shown in front of it, if any."""

    text: str
    verdict: str | None = None
    leading: bool = False
    warnings: tuple[int, ...] = ()


def summary(data: ReportData, marks: Marks | None = None) -> list[Statement]:
    """Tell the campaign: what failed, what each deployment holds, how each SLO that counts ended.

    Statements carry the numbers of the warnings that they rest on.
    """
    marks = marks or Marks()
    if not data.facts:
        return [Statement("Nothing was measured: this campaign has no finished cell.")]
    told = [Statement(text) for text in (failures(data.facts),) if text]
    for deployment, cells in data.deployments.items():
        named = marks.of_steps(cell.name for cell in cells)
        told.append(Statement(headline(data, deployment), leading=True, warnings=named))
        told += [
            Statement(
                judgement(row, run_of(row, cells)),
                str(row.get("verdict")),
                warnings=marks.of_verdict(row, (cell.name for cell in cells)),
            )
            for row in data.slos
            if row.get("counts") and words.clean(row.get("deployment")) == deployment
        ]
        told += [Statement(text) for text in informative(data, deployment)]
        text = neighbours(data, cells)
        told += [Statement(text)] if text else []
        if not data.axis.open:
            continue
        text = objectives(_capacities(data, deployment), judged=verdicts_of(data, deployment))
        told += [Statement(text)] if text else []
        told += [
            Statement(text)
            for cell in cells
            for text in search.sentences(cell, several=len(cells) > 1)
        ]
    closing = [*(energy_sentence(data, name) for name in data.deployments), hours_sentence(data)]
    return [*told, *(Statement(text) for text in closing if text)]


def headline(data: ReportData, deployment: str) -> str:
    """Say in one sentence what a deployment holds, how fast it answers, and how sure that is."""
    cells = data.deployments[deployment]
    name = subject(cells, several=len(data.deployments) > 1)
    if not any(step.measured for cell in cells for step in cell.steps):
        return f"Nothing is known of {name}: no step was measured."
    runs = repetitions(len([cell for cell in cells if cell.finished]))
    rows = _capacities(data, deployment)
    within = holds(name, rows, verdicts_of(data, deployment), runs) if data.axis.open else ""
    most = capacity(name, rows) if data.axis.open else driven(name, data, cells)
    fast = speed(data, deployment)
    parts = [within, fast] if within else [most, fast, runs]
    told = "; ".join(part for part in parts if part)
    return f"{told[0].upper() if told.startswith('how much') else told[0]}{told[1:]}."


def subject(cells: Sequence[CellFacts], *, several: bool) -> str:
    """Name what was measured: "SmolLM2-135M on 1 core", with the deployment's name among several."""
    deployment = cells[0].deployment
    environment = next((cell.environment for cell in cells if cell.environment), {})
    models = [
        words.clean(model["name"])
        for model in (environment.get("service") or {}).get("models") or []
        if model.get("name")
    ]
    named = words.listed(models) or deployment
    cores = len((environment.get("allocation") or {}).get("service_cpus") or [])
    where = f" on {words.counted(cores, 'core')}" if cores else ""
    also = f" ({deployment})" if several and named != deployment else ""
    return f"{named}{where}{also}"


def repetitions(finished: int) -> str:
    """Say over how many runs of the service the figures hold."""
    if finished == 0:
        return "no run finished"
    if finished == 1:
        return "this run only (1 repetition)"
    if finished < MIN_REPETITIONS:
        return f"these {finished} runs only, too few for an interval over runs"
    return f"over {finished} repetitions"


def neighbours(data: ReportData, cells: Sequence[CellFacts]) -> str:
    """Say in how many steps other programs robbed the service of its CPUs; empty when in none."""
    names = {cell.name for cell in cells}
    robbed = [
        known(row.get("value"))
        for row in data.gates
        if (row.get("gate"), row.get("outcome")) == ("neighbours", "fail")
        and words.clean(row.get("cell")) in names
    ]
    if not robbed:
        return ""
    of = words.counted(sum(step.measured for cell in cells for step in cell.steps), "measured step")
    most = f"{two_digits(100 * max(robbed))}{NO_BREAK}%"
    return (
        f"In {len(robbed)} of {of} other programs used the service's CPUs, up to {most} of them: "
        "such a step is INVALID, says nothing about the service, and is left out."
    )


def failures(cells: Sequence[CellFacts]) -> str:
    """Say which cells failed; empty when none did."""
    failed = [cell for cell in cells if not cell.finished]
    if not failed:
        return ""
    causes = "; ".join(f"{cell.name}: {cell.cause or 'no cause recorded'}" for cell in failed)
    return words.sentence(f"{len(failed)} of {words.counted(len(cells), 'cell')} failed ({causes})")


def _capacities(data: ReportData, deployment: str) -> list[dict[str, Any]]:
    """Give the capacity over repetitions where there is one, else those of the cells."""
    joint = data.joint_capacity_of(deployment)
    return [joint] if joint is not None else data.capacity_of(deployment)
