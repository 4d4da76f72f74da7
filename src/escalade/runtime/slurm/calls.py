"""One call of a Slurm program, and what its answer means.

Three things look alike in an exit code of 1 and are not: Slurm did not answer (nothing
is known about any job; ask again), it refused (the request is wrong; asking again is
useless), and it knows no such job (an answer). What each says is recorded in
`tests/data/slurm`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_SILENCE = re.compile(
    r"Unable to contact slurm controller|Socket timed out|connect failure|Connection refused"
    r"|Connection timed out|Zero Bytes were transmitted|in standby mode|authentication error"
    r"|authentication credential|Transport endpoint|No route to host|Unexpected message received"
    r"|temporarily unable to accept|open persistent connection|Problem talking to the database",
    re.IGNORECASE,
)
_NO_SUCH_JOB = re.compile(
    r"Invalid job id specified|Job \S+ not found|already completing or completed"
)
_NO_CONFIGURATION = re.compile(r"Could not establish a configuration source")
_NO_ACCOUNTING = re.compile(r"accounting storage is disabled|not running a supported accounting")


class SlurmUnreachableError(InfrastructureError):
    """Slurm's controller or database gave no answer: nothing is known about any job."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program gave back.

    Parameters
    ----------
    command
        What was called, shortened for messages.
    code
        Exit code; None when it was ended for taking too long.
    output, said
        Standard output and standard error.
    """

    command: str
    code: int | None
    output: str = ""
    said: str = ""

    @property
    def silent(self) -> bool:
        """True when Slurm itself gave no answer."""
        return self.code is None or (self.code != 0 and _SILENCE.search(self.said) is not None)

    @property
    def no_such_job(self) -> bool:
        """True when Slurm answered that there is no such job or step, or that it is over."""
        return self.code != 0 and _NO_SUCH_JOB.search(self.said + self.output) is not None

    @property
    def no_accounting(self) -> bool:
        """True when the cluster keeps no accounts."""
        return self.code != 0 and _NO_ACCOUNTING.search(self.said + self.output) is not None

    @property
    def words(self) -> str:
        """What it said, without the program's name and level before each line."""
        lines = (self.said or self.output).splitlines()
        bare = (re.sub(r"^\w+: (error: |fatal: )?", "", line).strip() for line in lines)
        return "; ".join(dict.fromkeys(line for line in bare if line))[:600]

    def insist(self) -> str:
        """Give the output of a call that has to succeed.

        Raises
        ------
        InfrastructureError
            When it did not.
        """
        if self.code != 0:
            raise InfrastructureError(
                f"`{self.command}` failed with code {self.code}: {self.words or 'it said nothing'}. "
                "Run it by hand; if it works there, compare PATH and SLURM_CONF."
            )
        return self.output


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls Slurm's programs.

    Parameters
    ----------
    environ
        Their whole environment.
    timeout_seconds
        How long one call may take. Above Slurm's MessageTimeout (10 s by default), so
        that the program itself can say what is wrong.
    patience_seconds
        How long a call is repeated while Slurm gives no answer.
    sleep, clock
        Replaced in tests.
    """

    environ: Mapping[str, str]
    timeout_seconds: float = 60.0
    patience_seconds: float = 60.0
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def has(self, program: str) -> bool:
        """Tell whether a program is on PATH."""
        return shutil.which(program, path=self.environ.get("PATH")) is not None

    def call(self, argv: Sequence[str], cwd: Path | None = None) -> Answer:
        """Run a program once.

        Raises
        ------
        ToolMissingError
            When it is not on PATH, or belongs to no cluster.
        """
        command = " ".join(word for word in argv if not word.startswith("--format"))[:200]
        try:
            done = subprocess.run(
                argv,
                cwd=cwd,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=self.timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer(command, None)
        except (FileNotFoundError, PermissionError):
            raise ToolMissingError(
                f"{argv[0]} can't be run: it is not on PATH. Load the module of Slurm, or work "
                "on a login node of the cluster."
            ) from None
        if done.returncode != 0 and _NO_CONFIGURATION.search(done.stderr):
            raise ToolMissingError(
                f"{argv[0]} is here, but no cluster: there is no slurm.conf, and SLURM_CONF names "
                "none. Work on a login node of the cluster."
            )
        return Answer(command, done.returncode, done.stdout, done.stderr)

    def ask(self, argv: Sequence[str]) -> Answer:
        """Run a program that changes nothing when repeated, until Slurm answers.

        Raises
        ------
        SlurmUnreachableError
            When it does not for as long as patience lasts.
        """
        deadline = self.clock() + self.patience_seconds
        pause = 0.5
        while (answer := self.call(argv)).silent:
            if self.clock() + pause >= deadline:
                raise self.unreachable(answer)
            self.sleep(pause)
            pause = min(pause * 2, 10.0)
        return answer

    def unreachable(self, answer: Answer) -> SlurmUnreachableError:
        """Make the error for a call that Slurm left without an answer."""
        words = answer.words or f"no end within {self.timeout_seconds:g} s"
        return SlurmUnreachableError(
            f"Slurm gave no answer to `{answer.command}` for {self.patience_seconds:g} s "
            f"({words}). Jobs go on meanwhile; `scontrol ping` says when it is back, "
            "then the same command continues."
        )
