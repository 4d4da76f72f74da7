"""Running one component benchmark: start its program, read what it prints, end it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError, InputError
from escalade.files import tail
from escalade.runtime.lifeline import die_with_parent
from escalade.suites.output import Output
from escalade.suites.programs.pacing import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from escalade.suites.components import Component
    from escalade.suites.output import Observation

STOP_SECONDS = 2.0
_LOOK_SECONDS = 0.002
_BLOCK = 65_536
_LONGEST_LINE = 16 * 2**20


class NotAvailableError(Exception):
    """What a component needs is not here; the message says why."""


@dataclass(frozen=True)
class Iteration:
    """One iteration of a program.

    Attributes
    ----------
    start
        Which start of the program it belongs to, from 1.
    arrived_seconds
        When it was read, in s after the repetition's begin.
    warmup
        Whether it began within the warm-up, and is not counted.
    numbers
        As printed, by key.
    """

    start: int
    arrived_seconds: float
    warmup: bool
    numbers: Observation


@dataclass
class Repetition:
    """What one repetition of a component gave.

    Attributes
    ----------
    iterations
        In their order, warm-up included.
    began_at
        Unix s.
    seconds
        How long it took.
    starts
        How often the program was started.
    out_of_budget
        Whether its time ran out before it had enough iterations.
    ignored, first_ignored
        Lines that were no iteration.
    load_average
        Of the machine before it began: processes that wanted a CPU, over a minute.
    """

    iterations: list[Iteration] = field(default_factory=list)
    began_at: float = 0.0
    seconds: float = 0.0
    starts: int = 0
    out_of_budget: bool = False
    ignored: int = 0
    first_ignored: str = ""
    load_average: float = 0.0

    @property
    def measured(self) -> int:
        """Number of iterations that count."""
        return sum(1 for iteration in self.iterations if not iteration.warmup)


def run_repetition(
    component: Component, log: Path, progress: Callable[[int, float], None] | None = None
) -> Repetition:
    """Run a component once: as many starts of its program as its iterations take.

    Parameters
    ----------
    component
        What to run.
    log
        File that gets what the program writes to standard error.
    progress
        Is told the number of counted iterations and the seconds since the begin.

    Raises
    ------
    NotAvailableError
        When the program says that what it measures is not here (exit code 69).
    InputError
        When the command is not there, or what it prints can't be used.
    InfrastructureError
        When it ends with an error, hangs, or gives nothing within its budget.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise InfrastructureError(f"{log} can't be written: {error.strerror}.") from error
    return _Run(component, log, progress or _silent).run()


def _silent(done: int, seconds: float) -> None:
    """Tell nobody."""


class _Run:
    """One repetition while it goes on."""

    def __init__(
        self, component: Component, log: Path, progress: Callable[[int, float], None]
    ) -> None:
        self._component = component
        self._log = log
        self._progress = progress
        self._made = Repetition(began_at=time.time(), load_average=os.getloadavg()[0])
        self._began = time.monotonic()
        self._measuring_since: float | None = None
        self._done = 0
        self._keys: frozenset[str] | None = None

    def run(self) -> Repetition:
        made = self._made
        while not self._enough() and not made.out_of_budget:
            before = len(made.iterations)
            made.starts += 1
            self._start_once()
            if len(made.iterations) == before and not made.out_of_budget:
                raise InputError(
                    f"{self._source} ended well and printed no number.{self._ignored()}"
                )
        made.seconds = self._elapsed
        if not self._done:
            raise InfrastructureError(
                f"{self._source} gave no iteration after its warm-up within its budget of "
                f"{self._component.budget_seconds:g} s. Raise budget_seconds, or lower the warm-up."
            )
        return made

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    @property
    def _source(self) -> str:
        return f"Component {self._component.name}"

    def _enough(self) -> bool:
        if self._done < self._component.iterations or self._measuring_since is None:
            return False
        return self._elapsed - self._measuring_since >= self._component.least_seconds

    def _start_once(self) -> None:
        """Start the program and read it until it ends, or has given enough."""
        with self._log.open("ab") as log, self._child(log) as child:
            output = Output(self._source, self._component.pattern)
            began = self._elapsed
            for line in self._lines(child):
                for numbers in output.take(line):
                    began = self._note(numbers, began)
                self._progress(self._done, self._elapsed)
                if self._enough() or self._elapsed > self._component.budget_seconds:
                    break
            self._made.ignored += output.ignored
            self._made.first_ignored = self._made.first_ignored or output.first_ignored
            if self._enough():
                return
            if self._elapsed > self._component.budget_seconds:
                self._made.out_of_budget = True
                return
            self._check_end(_ended(child, self._component.timeout_seconds))
            output.end()

    @contextlib.contextmanager
    def _child(self, log: Any) -> Iterator[subprocess.Popen[bytes]]:
        argv = self._component.argv
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one thread here
            )
        except OSError as error:
            raise InputError(
                f"{self._source}: {argv[0]!r} can't be started ({error.strerror}). Correct its "
                "command; a program is looked up on PATH, a path from the present folder."
            ) from error
        try:
            yield child
        finally:
            _end(child)

    def _note(self, numbers: Observation, began: float) -> float:
        """Keep an iteration; give the time when the next one begins."""
        now = self._elapsed
        keys = frozenset(numbers)
        if self._keys is None:
            self._keys = keys
        elif keys != self._keys:
            odd = sorted(keys ^ self._keys)
            raise InputError(
                f"{self._source}: its iterations differ in what they hold: "
                f"{', '.join(key or 'a plain number' for key in odd)} is in some, not in all. "
                "Missing is not zero: name under `values` what each of them prints."
            )
        warmup = self._is_warmup(began)
        if not warmup:
            self._done += 1
            if self._measuring_since is None:
                self._measuring_since = began
        self._made.iterations.append(Iteration(self._made.starts, now, warmup, numbers))
        return now

    def _is_warmup(self, began: float) -> bool:
        component = self._component
        if component.warms_up_itself:
            return False
        if component.warmup_iterations is not None:
            return len(self._made.iterations) < component.warmup_iterations
        return began < component.warmup_seconds

    def _lines(self, child: subprocess.Popen[bytes]) -> Iterator[str]:
        """Give the lines of standard output; end a program that is silent for too long."""
        if child.stdout is None:  # pragma: no cover - it was asked for
            return
        component, handle, rest = self._component, child.stdout.fileno(), b""
        quiet = component.timeout_seconds + component.warms_up_itself * component.warmup_seconds
        last = time.monotonic()
        with selectors.DefaultSelector() as waiting:
            waiting.register(handle, selectors.EVENT_READ)
            while True:
                left = min(last + quiet - time.monotonic(), 0.5)
                if left <= 0:
                    raise InfrastructureError(
                        f"{self._source} printed nothing for {quiet:g} s and was ended. Raise "
                        f"timeout_seconds if it takes that long; {self._log} has its messages."
                    )
                if not waiting.select(left):
                    self._progress(self._done, self._elapsed)
                    if self._elapsed > component.budget_seconds:
                        return
                    continue
                data = os.read(handle, _BLOCK)
                last = time.monotonic()
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
                if len(rest) > _LONGEST_LINE:
                    raise InputError(f"{self._source} printed a line of more than 16 MiB.")
        if rest:
            yield rest.decode(errors="replace")

    def _check_end(self, code: int | None) -> None:
        if code == 0:
            return
        if code is None:
            raise InfrastructureError(
                f"{self._source} closed its standard output and did not end within "
                f"{self._component.timeout_seconds:g} s."
            )
        said = tail(self._log, 3)
        if code == UNAVAILABLE:
            raise NotAvailableError(said[-1] if said else "its program does not say why")
        words = (
            f"{said[-1]}. Its messages are in {self._log}" if said else "it said nothing about it"
        )
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise InfrastructureError(f"{self._source} {how}: {words}.")

    def _ignored(self) -> str:
        if not self._made.ignored:
            return ""
        return (
            f" Its output holds {self._made.ignored} lines that are neither a number nor JSON, the "
            f"first being {self._made.first_ignored!r}; `pattern` reads numbers out of text."
        )


def _ended(child: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for the end of a program without reaping it, so that its group keeps its number.

    Returns
    -------
    int or None
        Its exit code, negative for a signal; None when it still runs.
    """
    until = time.monotonic() + seconds
    while True:
        found = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        if time.monotonic() > until:
            return None
        time.sleep(_LOOK_SECONDS)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a program and all of its group; what it left behind ends with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGTERM)
    _ended(child, STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()
