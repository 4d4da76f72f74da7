"""What a module that prepares a service is told, and how it tells what became of it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError, InputError
from escalade.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SUMMARY = "summary.json"
_SAY_SECONDS = 1.0


@dataclass(frozen=True)
class PreparePlan:
    """The file whose path a module for `prepare` is given.

    Parameters
    ----------
    url
        Of the service.
    seed
        Of the cell.
    parameters
        Of the workload: the recipe's and, over them, the campaign's.
    folder
        For what the workload needs; it is kept with the results.
    """

    url: str
    seed: int
    parameters: Mapping[str, Any]
    folder: Path

    @classmethod
    def read(cls, path: Path) -> PreparePlan:
        """Read it.

        Raises
        ------
        InputError
            When it is missing or lacks a key.
        """
        content = read_json(path, "plan of a preparation")
        try:
            folder = Path(content["folder"])
            return cls(content["url"], content["seed"], content["parameters"], folder)
        except (KeyError, TypeError) as error:
            raise InputError(f"plan of a preparation: {path} lacks {error}.") from None


class Progress:
    """Writes a line now and then while something long goes on."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        self._said_at = 0.0

    def __call__(self, done: int, of: int) -> None:
        """Say how much is done, at most once a second and at the end."""
        now = time.monotonic()
        if done >= of or now - self._said_at > _SAY_SECONDS:
            self._said_at = now
            say(self._sentence.format(done=f"{done:,}", of=f"{of:,}"))


def say(sentence: str) -> None:
    """Write a line of the log, whose last one is shown."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def prepared(argv: list[str], prepare: Callable[[PreparePlan], Mapping[str, Any]]) -> int:
    """Run a preparation for a command line; give its exit code.

    Parameters
    ----------
    argv
        The path of the plan.
    prepare
        Puts it there and gives the summary; what it raises becomes the last line.
    """
    try:
        plan = PreparePlan.read(Path(argv[0]))
        write_json(plan.folder / SUMMARY, dict(prepare(plan)))
    except EscaladeError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        say(f"the service can't be reached: {error}")
        return 3
    return 0
