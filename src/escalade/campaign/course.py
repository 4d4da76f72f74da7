"""Which step of a cell comes next: the next rung of its ladder, or what its search asks for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from escalade.campaign.deploy import schedule_of
from escalade.campaign.objectives import judged_slos
from escalade.campaign.plan import trial_plan
from escalade.campaign.search import searched_slos
from escalade.files import read_table, write_json, write_table
from escalade.load.hopeless import Bound
from escalade.load.records import SCHEMA
from escalade.load.search import Ask, Done, Trial, next_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from escalade.analysis.verdicts.trial import TrialVerdict
    from escalade.campaign.run import CellRun
    from escalade.load.schedule import StepPlan

WHOLE = ("confirm", "overload")
"""Kinds of trials that run to their end, whatever they show."""
_GONE = ("service_failed", "not_run")


@dataclass(frozen=True)
class Planned:
    """A step that is to be run; `words` say what it is for, where its number alone does not."""

    plan: StepPlan
    bounds: tuple[Bound, ...] = ()
    words: str = ""


class Course(Protocol):
    """Steps one by one, each maybe chosen by what came of those before."""

    def next(self) -> Planned | None:
        """Give the next step, or None when the cell is over."""

    def took(self, outcome: Mapping[str, Any]) -> None:
        """Take what came of it."""


def course_of(here: CellRun) -> Course:
    """Give the steps of a cell."""
    return LadderCourse(here) if here.cell.search is None else SearchCourse(here)


class LadderCourse:
    """The rungs of a ladder, in their order."""

    def __init__(self, here: CellRun) -> None:
        self._left = iter(here.cell.steps)

    def next(self) -> Planned | None:
        """Give the next rung."""
        plan = next(self._left, None)
        return None if plan is None else Planned(plan)

    def took(self, outcome: Mapping[str, Any]) -> None:
        """Go on, whatever happened."""


class SearchCourse:
    """The trials of a search, judged as they come in; search.json tells them in order."""

    def __init__(self, here: CellRun) -> None:
        assert here.cell.search is not None  # noqa: S101
        self._here = here
        self._settings = here.cell.search
        campaign = here.run.plan.campaign
        self._slos = judged_slos(searched_slos(campaign), campaign.slos)
        self._plans: list[StepPlan] = []
        self._asked: list[Ask] = []
        self._trials: list[Trial] = []
        self._told: list[dict[str, Any]] = []

    def next(self) -> Planned | None:
        """Give the next trial, and draw its requests."""
        found = next_step(self._settings, self._trials)
        if isinstance(found, Done):
            self._write(found)
            return None
        number = len(self._trials) + 1
        plan = trial_plan(self._here.run.plan.campaign, number, found)
        self._plans.append(plan)
        self._asked.append(found)
        if number > 1:  # the first one was drawn with the cell
            write_table(self._here.folder.schedule, schedule_of(self._here, self._plans))
        words = f"trial {number} ({found.kind}) at {found.qps:.4g} requests/s"
        return Planned(plan, self._bounds(plan, found), words)

    def took(self, outcome: Mapping[str, Any]) -> None:
        """Judge a trial."""
        from escalade.analysis.verdicts.trial import judge_trial  # noqa: PLC0415 - ladders do without it

        here, ask = self._here, self._asked[-1]
        cell = {
            "cell": here.cell.name,
            "deployment": here.cell.deployment.name,
            "repetition": here.cell.repetition,
        }
        verdict = judge_trial(cell, outcome, self._requests(), self._slos)
        trial = Trial(
            qps=ask.qps,
            kind=ask.kind,
            seconds=_seconds(outcome, ask),
            judged=verdict.judged,  # type: ignore[arg-type]
            leans=verdict.leans,
            saturated=verdict.saturated,
            whole=outcome["outcome"] == "measured",
            gone=outcome["outcome"] in _GONE,
            reason=verdict.reason,
        )
        self._trials.append(trial)
        self._told.append(_told(len(self._trials), trial, outcome, ask, verdict))
        self._write(None)

    def _may_end_early(self, plan: StepPlan, ask: Ask) -> bool:
        """Tell whether a trial may be given up; turns of a conversation are not known beforehand."""
        search = self._here.run.plan.campaign.load.search
        asked = search is not None and search.give_up and ask.kind not in WHOLE
        turns = plan.conversation or any(part.get("conversation") for part in plan.mix)
        return asked and not turns

    def _bounds(self, plan: StepPlan, ask: Ask) -> tuple[Bound, ...]:
        """Say when the trial is hopeless; of a part of a mix it is not counted."""
        from escalade.analysis.kpis.hopeless import most_beyond  # noqa: PLC0415 - the same

        if not self._may_end_early(plan, ask):
            return ()
        planned = plan.count("window")
        found = [(slo, most_beyond(slo, planned)) for slo in self._slos]
        return tuple(
            Bound(slo.name, slo.metric, slo.limit, most, planned)
            for slo, most in found
            if most is not None and most < planned and slo.workload is None
        )

    def _requests(self) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415 - the same

        folder = self._here.folder.step(len(self._trials) + 1)
        logs = sorted(folder.glob("requests-*.parquet"))
        frames = [read_table(path, "request log", SCHEMA.names) for path in logs]
        return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]

    def _write(self, done: Done | None) -> None:
        settings = asdict(self._settings)
        if settings["highest_qps"] == float("inf"):  # JSON can't hold it
            settings["highest_qps"] = None
        content = {
            "schema": 1,
            "cell": self._here.cell.name,
            "slos": [slo.name for slo in self._slos],
            "settings": settings,
            "trials": self._told,
            "used": {
                "seconds": sum(trial.seconds for trial in self._trials),
                "trials": len(self._trials),
            },
            "result": None if done is None else asdict(done),
        }
        write_json(self._here.folder.search, content)


def _seconds(outcome: Mapping[str, Any], ask: Ask) -> float:
    """Give what a trial took of the budget: an abandoned one ends with its sending."""
    if outcome["started_at"] is None:
        return 0.0
    if outcome["outcome"] == "abandoned":
        return float(outcome["window_end"] - outcome["started_at"])
    return ask.seconds


def _told(
    number: int, trial: Trial, outcome: Mapping[str, Any], ask: Ask, verdict: TrialVerdict
) -> dict[str, Any]:
    return {
        "step": number,
        "kind": trial.kind,
        "target_qps": trial.qps,
        "warmup_seconds": ask.warmup_seconds,
        "window_seconds": ask.window_seconds,
        "seconds": trial.seconds,
        "outcome": outcome["outcome"],
        "abandoned": outcome.get("abandoned"),
        "judged": trial.judged,
        "leans": trial.leans,
        "holds": trial.holds,
        "saturated": trial.saturated,
        "reason": trial.reason,
        "slos": [dict(row) for row in verdict.rows],
    }
