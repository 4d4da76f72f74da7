"""Which rate to try next: a search for the highest rate at which a service keeps its objectives.

A geometric climb (or descent, when the first trial fails) brackets that rate, bisection in
its logarithm narrows the bracket, a longer trial confirms the lower end, and one trial of
overload shows the capacity. The next rate follows from the trials so far and nothing else:
the same answers ask for the same rates again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["climb", "descend", "bisect", "repeat", "confirm", "overload"]
Judged = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "NOT_RUN"]
End = Literal["found", "bracketed", "at_least", "none_holds", "stopped"]

REPEAT_FACTOR = 2.0
"""How much longer the window of a trial is that repeats an undecided one."""
MAX_OVERLOADS = 3
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Settings:
    """What bounds a search.

    Parameters
    ----------
    start_qps
        Rate of the first trial, in requests/s.
    lowest_qps, highest_qps
        No rate below or above is tried; infinity for no upper end.
    factor
        From one rate of the climb to the next.
    resolution
        Relative width of the bracket at which the search is over.
    warmup_seconds
        Before each window.
    window_seconds
        Least length of a trial's window; longer where that holds too few requests.
    least_requests
        Number of requests that a window holds at least.
    confirmation_seconds
        Least length of the confirmation's window.
    budget_seconds
        Warm-ups and windows together.
    budget_trials
        Number of trials.
    """

    start_qps: float
    lowest_qps: float
    highest_qps: float
    factor: float
    resolution: float
    warmup_seconds: float
    window_seconds: float
    least_requests: int
    confirmation_seconds: float
    budget_seconds: float
    budget_trials: int

    def window(self, qps: float, kind: Kind) -> float:
        """Give the length of the window of a trial, in s."""
        least = self.confirmation_seconds if kind == "confirm" else self.window_seconds
        seconds = max(least, self.least_requests / qps)
        return REPEAT_FACTOR * seconds if kind == "repeat" else seconds

    def ask(self, qps: float, kind: Kind) -> Ask:
        """Ask for a trial."""
        return Ask(qps, kind, self.warmup_seconds, self.window(qps, kind))


@dataclass(frozen=True)
class Ask:
    """A trial that is to be run."""

    qps: float
    kind: Kind
    warmup_seconds: float
    window_seconds: float

    @property
    def seconds(self) -> float:
        """What it takes of the budget, unless it is abandoned."""
        return self.warmup_seconds + self.window_seconds


@dataclass(frozen=True)
class Trial:
    """A trial that was run.

    Parameters
    ----------
    qps, kind
        As asked for.
    seconds
        What it took of the budget.
    judged
        By the same rules as any verdict.
    leans
        What the point estimate says of an undecided one: True for within the limit; None when
        there is none.
    saturated
        Whether throughput stayed behind while requests piled up.
    whole
        Whether it ran to its end, and was not abandoned.
    gone
        Whether nothing can be measured after it: the service has ended.
    reason
        One sentence.
    """

    qps: float
    kind: Kind
    seconds: float
    judged: Judged
    leans: bool | None = None
    saturated: bool = False
    whole: bool = True
    gone: bool = False
    reason: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the objectives are kept, as far as it tells; None when the trial says nothing.

        An undecided trial counts by its point estimate. Without one it counts as missed: what
        was not seen to hold does not hold. A confirmation counts when it decides; an undecided
        one says that the limit is near, and that is where it was put.
        """
        undecided_confirmation = self.kind == "confirm" and self.judged == "INCONCLUSIVE"
        if self.judged in ("INVALID", "NOT_RUN") or undecided_confirmation:
            return None
        return self.judged == "PASS" or (self.judged == "INCONCLUSIVE" and self.leans is True)


@dataclass(frozen=True)
class Done:
    """The end of a search.

    Parameters
    ----------
    end
        found: the bracket is as narrow as asked for. bracketed: it is not, the search had to end
        before. at_least: every rate that was tried held. none_holds: none did. stopped: no trial
        says anything.
    held_qps, missed_qps
        The highest rate that held below the lowest one that did not; None where there is none.
    confirmed
        Verdict of the confirmation at `held_qps`; None without one.
    reason
        One sentence: how it ended.
    """

    end: End
    held_qps: float | None
    missed_qps: float | None
    confirmed: Judged | None
    reason: str


def next_step(settings: Settings, trials: Sequence[Trial]) -> Ask | Done:
    """Say what to try next, or what was found.

    Parameters
    ----------
    settings
        Of the search.
    trials
        All so far, in order.

    Returns
    -------
    Ask or Done
        A trial is asked for only when the budget covers it together with what has to come after
        it (the confirmation, the overload); the first one always is.
    """
    return _Search(settings, trials).next_step()


def bisections(settings: Settings, ratio: float) -> int:
    """Count the bisections that narrow a bracket whose ends have that ratio."""
    if ratio <= (1 + settings.resolution) * (1 + _ROUNDING):
        return 0
    return math.ceil(math.log2(math.log(ratio) / math.log1p(settings.resolution)) - _ROUNDING)


class _Search:
    """What follows from the trials."""

    def __init__(self, settings: Settings, trials: Sequence[Trial]) -> None:
        self.settings, self.trials = settings, trials
        self.spent = sum(trial.seconds for trial in trials)
        holding = _holding(trials)
        self.missed = min((qps for qps, holds in holding.items() if not holds), default=None)
        self.held = max(
            (qps for qps, holds in holding.items() if holds and qps < (self.missed or math.inf)),
            default=None,
        )
        self.blocked = _blocked(trials)

    def next_step(self) -> Ask | Done:
        if not self.trials:
            return self.settings.ask(self.settings.start_qps, "climb")
        last = self.trials[-1]
        if last.gone:
            return self._done(last.reason)
        if self.blocked is None and last.judged == "INVALID" and self._affords_again(last):
            return self.settings.ask(last.qps, last.kind)
        if self.blocked is None and (ask := self._repeat(last) or self._narrower()):
            return ask
        return self._confirm() or self._overload() or self._done(self._why_over())

    def _affords_again(self, last: Trial) -> bool:
        return self._affords(self.settings.ask(last.qps, last.kind), ())

    def _repeat(self, last: Trial) -> Ask | None:
        """Repeat an undecided trial with a longer window, if what is left over allows it.

        While the bracket is open, what a trial leans to is enough to go on; the bisection
        comes back to that rate if it was wrong.
        """
        worth = last.kind == "bisect" or (last.kind in ("climb", "descend") and last.leans is None)
        if last.judged != "INCONCLUSIVE" or not worth:
            return None
        ask = self.settings.ask(last.qps, "repeat")
        later = [self.settings.ask(last.qps, "bisect")] * self._bisections_left()
        return ask if self._affords(ask, (*later, *self._after(last.qps))) else None

    def _bisections_left(self) -> int:
        if self.held is None or self.missed is None:
            return bisections(self.settings, self.settings.factor)
        return bisections(self.settings, self.missed / self.held)

    def _narrower(self) -> Ask | None:
        """Ask for the next trial of the climb, the descent or the bisection, if there is one."""
        ask = self._further()
        if ask is None or not self._affords(ask, self._after(self.held or ask.qps)):
            return None
        return ask

    def _further(self) -> Ask | None:
        settings, held, missed = self.settings, self.held, self.missed
        if held is None and missed is None:
            return None
        if missed is None and held is not None:
            higher = min(_readable(held * settings.factor), settings.highest_qps)
            return settings.ask(higher, "climb") if higher > held * (1 + _ROUNDING) else None
        if held is None and missed is not None:
            lower = max(_readable(missed / settings.factor), settings.lowest_qps)
            return settings.ask(lower, "descend") if lower < missed * (1 - _ROUNDING) else None
        assert held is not None  # noqa: S101
        assert missed is not None  # noqa: S101
        if bisections(settings, missed / held) == 0:
            return None
        return settings.ask(_readable(math.sqrt(held * missed)), "bisect")

    def _confirm(self) -> Ask | None:
        if self.held is None or self._confirmation() is not None:
            return None
        ask = self.settings.ask(self.held, "confirm")
        first = all(trial.kind != "confirm" for trial in self.trials)
        later = (
            () if first or self._saturation_seen() else (self.settings.ask(self.held, "overload"),)
        )
        return ask if self._affords(ask, later) else None

    def _confirmation(self) -> Trial | None:
        found = [trial for trial in self.trials if trial.kind == "confirm"]
        return next((trial for trial in reversed(found) if trial.qps == self.held), None)

    def _overload(self) -> Ask | None:
        """Ask for a trial beyond saturation, unless a whole one has been seen."""
        unknown = self.held is None and self.missed is None
        if unknown or self.blocked is not None or self._saturation_seen():
            return None
        ask = self.settings.ask(self._overload_qps(), "overload")
        tried = {trial.qps for trial in self.trials if trial.whole}
        over = sum(trial.kind == "overload" for trial in self.trials)
        allowed = over < MAX_OVERLOADS and ask.qps not in tried
        return ask if allowed and self._affords(ask, ()) else None

    def _overload_qps(self) -> float:
        """Give the lowest rate that saturates, else one beyond all that were tried."""
        saturating = [trial.qps for trial in self.trials if trial.saturated]
        highest = max(trial.qps for trial in self.trials)
        beyond = min(_readable(highest * self.settings.factor), self.settings.highest_qps)
        return min(saturating, default=beyond)

    def _saturation_seen(self) -> bool:
        return any(trial.saturated and trial.whole for trial in self.trials)

    def _after(self, qps: float) -> tuple[Ask, ...]:
        """Give the trials that have to follow: confirmation and overload."""
        confirm = self.settings.ask(qps, "confirm")
        if self._saturation_seen():
            return (confirm,)
        return confirm, self.settings.ask(qps, "overload")

    def _affords(self, ask: Ask, later: Sequence[Ask]) -> bool:
        seconds = self.spent + ask.seconds + sum(each.seconds for each in later)
        trials = len(self.trials) + 1 + len(later)
        within = self.settings.budget_seconds * (1 + _ROUNDING)
        return seconds <= within and trials <= self.settings.budget_trials

    def _why_over(self) -> str:
        if self.blocked is not None and self.blocked.kind not in ("confirm", "overload"):
            return f"the climb ended at {self.blocked.qps:.4g} requests/s: {self.blocked.reason}"
        settings, held, missed = self.settings, self.held, self.missed
        if held is None and missed is None:
            return self.trials[-1].reason
        if self._further() is not None:
            return "the budget was used up"
        if missed is None:
            return f"it holds up to {held or settings.start_qps:.4g} requests/s, the highest rate allowed"
        if held is None:
            return f"even at {missed:.4g} requests/s, the lowest rate allowed, it is missed"
        return f"the bracket is as narrow as the resolution of {100 * settings.resolution:.3g} %"

    def _done(self, reason: str) -> Done:
        confirmation = self._confirmation()
        return Done(
            end=self._end(),
            held_qps=self.held,
            missed_qps=self.missed,
            confirmed=confirmation.judged if confirmation else None,
            reason=reason,
        )

    def _end(self) -> End:
        if self.held is None:
            return "none_holds" if self.missed is not None else "stopped"
        if self.missed is None:
            return "at_least"
        return "bracketed" if bisections(self.settings, self.missed / self.held) else "found"


def _readable(qps: float) -> float:
    """Round a rate to four digits: far finer than any resolution, and short to name."""
    return float(f"{qps:.4g}")


def _holding(trials: Sequence[Trial]) -> dict[float, bool]:
    """Say for each rate whether the objectives hold there: by its last trial that says so.

    An overload counts when it failed: that it did not says nothing that a bracket needs.
    """
    return {
        trial.qps: trial.holds
        for trial in trials
        if trial.holds is not None and (trial.kind != "overload" or trial.judged == "FAIL")
    }


def _blocked(trials: Sequence[Trial]) -> Trial | None:
    """Give the trial that was INVALID twice: higher rates would be, too."""
    for place, trial in enumerate(trials):
        before = trials[place - 1] if place else None
        if (
            before is not None
            and before.judged == trial.judged == "INVALID"
            and before.qps == trial.qps
        ):
            return trial
    return None
