"""What rules look at: one deployment, its cells, and what was judged of them."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Evidence, Figures
from escalade.analysis.findings.rule import Fine, Hit, Unseen
from escalade.analysis.kpis.series_kpis import UNMONITORED
from escalade.analysis.stats.distributions import binomial_cdf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.measured.cell import CellData

SHOWN = 12
"""Pieces of evidence that a finding shows; the tables of gates and KPIs have all."""
SURPRISE = 0.01
"""Chance up to which a number of failed gates is more than chance."""


class Subject:
    """One deployment.

    Parameters
    ----------
    name
        Of the deployment.
    cells
        Its cells, in the order of the plan.
    kpis
        KPI rows of all cells.
    verdicts
        Content of verdicts.json so far.
    """

    def __init__(
        self,
        name: str,
        cells: Sequence[CellData],
        kpis: pd.DataFrame,
        verdicts: Mapping[str, Any],
    ) -> None:
        self.name = name
        gates, capacity = verdicts.get("gates") or [], verdicts.get("capacity") or []
        self.cells = [Figures(cell, kpis, gates, capacity) for cell in cells]
        self._verdicts = verdicts

    def everything(self, name: str) -> list[Mapping[str, Any]]:
        """Give all rows of a section of verdicts.json; some are about no deployment."""
        return list(self._verdicts.get(name) or [])

    @property
    def unmonitored(self) -> bool:
        """Whether nothing of it was scraped, since its monitoring is off."""
        return bool(self.cells) and not any(figures.data.monitored for figures in self.cells)

    def section(self, name: str) -> list[Mapping[str, Any]]:
        """Give the rows of a section of verdicts.json that are about this deployment."""
        rows = self._verdicts.get(name) or []
        return [row for row in rows if row.get("deployment") == self.name]

    @cached_property
    def objectives(self) -> list[Mapping[str, Any]]:
        """Verdicts that count, or, where no objective names its rate, those for information.

        Of several repetitions the verdicts on the deployment, not those on its cells.
        """
        rows = self.section("slos")
        counted = [row for row in rows if row["counts"]]
        joint = [row for row in rows if row["cell"] is None]
        return counted or joint or rows

    @property
    def counted(self) -> list[Mapping[str, Any]]:
        """Verdicts that decide about the outcome of the campaign."""
        return [row for row in self.objectives if row["counts"]]

    @cached_property
    def searched(self) -> bool:
        """Whether the rates were searched for instead of given."""
        return any(figures.data.search for figures in self.cells)

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """The workloads that the requests are of, as configured; {} where it was not recorded."""
        definition = self.cells[0].data.cell.get("definition") or {} if self.cells else {}
        workload = definition.get("workload") or {}
        return list(workload.get("mix") or [workload])

    def of(self, cell: str | None) -> list[Figures]:
        """Give the cells that a verdict is on: one, or all for None."""
        return [figures for figures in self.cells if cell in (None, figures.name)]

    def calm(self) -> Iterable[tuple[Figures, int]]:
        """Give the steps that are well below the capacity."""
        return [(figures, step) for figures in self.cells for step in figures.calm]

    def stable(self) -> Iterable[tuple[Figures, int]]:
        """Give the valid steps that are not beyond saturation."""
        return [(figures, rung.step) for figures in self.cells for rung in figures.stable]

    def beyond(self) -> Iterable[tuple[Figures, int]]:
        """Give the valid steps that are beyond saturation."""
        return [
            (figures, rung.step)
            for figures in self.cells
            for rung in figures.rungs
            if rung.saturated
        ]


def by_gates(subject: Subject, *, names: Sequence[str], words: str) -> Answer:
    """Fire when one of these gates failed in any step.

    `words` says what is fine when none did.
    """
    failed = [(figures, gate) for figures in subject.cells for gate in figures.failing(*names)]
    looked = [
        gate
        for figures in subject.cells
        for gate in figures.gates
        if gate["gate"] in names and gate["outcome"] in ("pass", "fail")
    ]
    if failed:
        return _failed(failed, len({(g["cell"], g["step"]) for g in looked}))
    if looked:
        return Fine(words)
    return Unseen(
        f"no step could be checked by {_listed(names)}", unscraped=_of_samples(subject, names)
    )


def by_chance(
    subject: Subject, *, name: str, chance: float, words: str, rises: bool | None = None
) -> Answer:
    """Fire when a gate failed in more steps below the capacity than chance explains.

    Parameters
    ----------
    subject
        The deployment.
    name
        Of the gate.
    chance
        That it fails in a step in which nothing is amiss.
    words
        What is fine when it does not fire.
    rises
        Count only failures whose value is above 1 (True) or below it (False).
    """
    looked = [
        (figures, figures.gate(step, name))
        for figures, step in subject.calm()
        if figures.gate(step, name).get("outcome") in ("pass", "fail")
    ]
    failed = [
        (figures, gate)
        for figures, gate in looked
        if gate["outcome"] == "fail" and (rises is None or (gate["value"] > 1) is rises)
    ]
    if not looked:
        return Unseen(f"no step below the capacity could be checked by {_listed([name])}")
    if failed and 1 - binomial_cdf(len(failed) - 1, len(looked), chance) <= SURPRISE:
        return _failed(failed, len(looked))
    return Fine(words)


def _of_samples(subject: Subject, names: Sequence[str]) -> bool:
    """Tell whether it is for want of samples alone that these gates said nothing."""
    gates = [gate for figures in subject.cells for gate in figures.gates if gate["gate"] in names]
    return subject.unmonitored and any(gate["detail"] == UNMONITORED for gate in gates)


def _failed(failed: Sequence[tuple[Figures, Mapping[str, Any]]], looked: int) -> Hit:
    steps = {(gate["cell"], gate["step"]) for _, gate in failed}
    first = failed[0][1]
    measured = (
        f"{len(steps)} of {looked} steps: {first['detail']} (step {first['step']}, "
        f"gate {first['gate']})"
    )
    return Hit(measured, tuple(figures.proof(gate) for figures, gate in failed[:SHOWN]))


def _listed(names: Sequence[str]) -> str:
    return f"gate{'s' * (len(names) > 1)} {', '.join(names)}"


def proof_of(verdict: Mapping[str, Any], subject: Subject) -> Evidence:
    """Give a verdict on an objective as evidence."""
    cell = verdict["cell"] or (subject.cells[0].name if len(subject.cells) == 1 else "")
    value = verdict["value"]
    return Evidence(
        str(verdict["metric"]),
        str(verdict["stat"]),
        str(cell),
        int(verdict["step"] or 0),
        math.nan if value is None else float(value),
        str(verdict["unit"]),
        float(verdict["limit"]),
        "kpis.csv",
        f"{verdict['verdict']}: {verdict['reason']}",
    )


def joined(found: Sequence[str]) -> str:
    """Join clauses into one."""
    return "; ".join(dict.fromkeys(found))
