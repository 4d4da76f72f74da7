"""What is asked of Slurm: one allocation of one or more components.

Values come from configuration files and end up in `#SBATCH` lines, which sbatch
splits by rules of its own. So each is checked here, once: a value that could end a
line, close a quote or begin another option is refused, never repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.runtime.slurm.options import decided

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = re.compile(r"[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TYPE = re.compile(r"[A-Za-z0-9_.-]+")
_CONSTRAINT = re.compile(r"[A-Za-z0-9_.,:=&|!*()\[\]-]+")
_QUOTES = re.compile(r"[\"'\\]")
_OPTION = re.compile(r"--[a-z][a-z0-9-]*(=.*)?|-[A-Za-z].*")


@dataclass(frozen=True, slots=True)
class ComponentRequest:
    """One component of an allocation: equal nodes of one partition.

    Parameters
    ----------
    name
        What it is for: "client", "service", or "all" when there is but one.
    partition, account, qos, reservation, constraint
        As sbatch names them; None leaves the choice to the site.
    nodes
        How many nodes, at least one.
    cpus
        CPUs per node as Slurm counts them; None takes what the site gives.
    memory_mb
        Memory per node in MiB; 0 takes all of it, None what the site gives.
    gpus
        GPUs per node.
    gpu_type
        Their type as the site names it, e.g. "a100".
    exclusive
        No other job on the nodes.
    extra
        Further sbatch options as the user wrote them, e.g. ("--nodelist=node2",).

    Raises
    ------
    InputError
        When a value can't stand in an `#SBATCH` line, or an extra option would
        overrule a decision that is made elsewhere.
    """

    name: str
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    reservation: str | None = None
    constraint: str | None = None
    nodes: int = 1
    cpus: int | None = None
    memory_mb: int | None = None
    gpus: int = 0
    gpu_type: str | None = None
    exclusive: bool = False
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what would break the script."""
        where = f"component {self.name!r}"
        _insist(_NAME, self.name, "name", "a component", "letters, digits, _ . -")
        for key in ("partition", "reservation"):
            _insist(_NAMES, getattr(self, key), key, where, "names separated by commas")
        for key in ("account", "qos", "gpu_type"):
            _insist(_TYPE, getattr(self, key), key, where, "letters, digits, _ . -")
        _insist(_CONSTRAINT, self.constraint, "constraint", where, "features joined by & | , [ ] *")
        for key, least in (("nodes", 1), ("cpus", 1), ("memory_mb", 0), ("gpus", 0)):
            number = getattr(self, key)
            if number is not None and number < least:
                raise InputError(f"{key} of {where} is {number}; expected at least {least}.")
        if self.gpu_type is not None and self.gpus == 0:
            raise InputError(f"{where} names the GPU type {self.gpu_type!r} but asks for no GPUs.")
        for option in self.extra:
            _insist_on_option(option, where)


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """One allocation: a batch job, heterogeneous when it has several components, or a job each.

    Parameters
    ----------
    name
        Name of the job; letters, digits, `_`, `.` and `-`.
    components
        In the order of their het groups; the batch script runs on the first node
        of the first.
    time_limit_seconds
        How long it may last; Slurm gets it in minutes, rounded up.
    log
        Receives what the batch script writes; its folder has to exist on the node,
        or Slurm fails the job without a word.
    command
        What the batch script becomes at its end (`exec`).
    setup
        Shell lines of the site that run before it, e.g. `module load …`.
    apart
        Each component is a plain job of its own, which may start before the other.
    after
        Id of a job that has to be over before this one may start.
    warn_seconds
        Slurm sends SIGUSR1 to `command` so long before the time limit; Slurm checks
        once a minute, so it may come up to 60 s earlier. None sends nothing.

    Raises
    ------
    InputError
        When a value can't be turned into a script.
    """

    name: str
    components: tuple[ComponentRequest, ...]
    time_limit_seconds: float
    log: Path
    command: tuple[str, ...]
    setup: tuple[str, ...] = ()
    warn_seconds: float | None = None
    after: str | None = None
    apart: bool = False

    def __post_init__(self) -> None:
        """Refuse what would break the script."""
        _insist(_NAME, self.name, "name", "an allocation", "at most 64 letters, digits, _ . -")
        where = f"allocation {self.name!r}"
        self._insist_on_components(where)
        if not 0 < self.time_limit_seconds < 366 * 86400:
            raise InputError(
                f"The time limit of {where} is {self.time_limit_seconds} s; "
                "expected more than nothing and less than a year."
            )
        if self.warn_seconds is not None and not 0 < self.warn_seconds <= 65535:
            raise InputError(
                f"The {where} asks for a signal {self.warn_seconds} s before its end; "
                "Slurm takes 1 to 65535 s."
            )
        if self.after is not None and not self.after.isdigit():
            raise InputError(f"The {where} is to follow job {self.after!r}; expected its number.")
        if not self.command:
            raise InputError(f"The {where} has no command.")
        if _unsafe(str(self.log)):
            raise InputError(f"The log of {where}, {str(self.log)!r}, has a quote or control sign.")
        for line in (*self.setup, *self.command):
            if not line.replace("\t", " ").isprintable():
                raise InputError(f"{where}: {line!r} has a line break or another control sign.")

    def _insist_on_components(self, where: str) -> None:
        if not self.components:
            raise InputError(f"The {where} has no component; expected at least one.")
        names = [component.name for component in self.components]
        if len(set(names)) < len(names):
            raise InputError(f"The {where} has components of the same name: {', '.join(names)}.")
        if not self.apart:
            _insist_on_inherited(self.components)

    @property
    def heterogeneous(self) -> bool:
        """True when steps have to say in which het group they run."""
        return len(self.components) > 1 and not self.apart

    @property
    def clients(self) -> int:
        """Number of nodes of the client; the first one of a single component is both."""
        return self.components[0].nodes if len(self.components) > 1 else 1

    def jobs(self) -> tuple[AllocationRequest, ...]:
        """Give the jobs to submit: itself, or one for each component."""
        if not self.apart:
            return (self,)
        return tuple(replace(self, components=(part,), apart=False) for part in self.components)


def _insist(pattern: re.Pattern[str], text: str | None, key: str, where: str, what: str) -> None:
    if text is not None and not pattern.fullmatch(text):
        raise InputError(f"{key} of {where} is {text!r}; expected {what}.")


def _insist_on_inherited(components: tuple[ComponentRequest, ...]) -> None:
    """Refuse silence where Slurm would hand the value of an earlier component on."""
    for key in ("account", "qos", "reservation", "memory_mb"):
        said: ComponentRequest | None = None
        for component in components:
            if getattr(component, key) is not None:
                said = component
            elif said is not None:
                raise InputError(
                    f"{key} of component {component.name!r} is not said, and Slurm would take that "
                    f"of {said.name!r} ({getattr(said, key)}) for it. Say it for each component."
                )


def _unsafe(text: str) -> bool:
    """Tell whether text could break out of an `#SBATCH` line or of its quotes."""
    return not text.isprintable() or _QUOTES.search(text) is not None


def _insist_on_option(option: str, where: str) -> None:
    if _unsafe(option) or not _OPTION.fullmatch(option):
        raise InputError(
            f"The extra sbatch option {option!r} of {where} can't stand in the script; expected "
            "--option, --option=value or -o value, without quotes, backslashes and line breaks."
        )
    if (why := decided(option)) is not None:
        raise InputError(
            f"The extra sbatch option {option!r} of {where} is not for `extra`: {why}."
        )
