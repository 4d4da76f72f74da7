"""Output of real Slurm, and programs that print it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data" / "slurm"


def output(name: str) -> str:
    """Give a recorded output."""
    return (DATA / name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Situation:
    """What a program said and its exit code."""

    what: str
    command: str
    code: int
    said: str


def situations(name: str) -> list[Situation]:
    """Read a file of entries `# what: command (code n)`."""
    parts = re.split(r"(?m)^# (.+?): (.+) \(code (\d+)\)\n", output(name))[1:]
    groups = zip(*[iter(parts)] * 4, strict=True)
    return [Situation(what, command, int(code), said) for what, command, code, said in groups]


class StandIns:
    """Small shell programs that answer in turn, and note how they were called.

    Parameters
    ----------
    folder
        Put on PATH.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answers(self, program: str, output: str = "", said: str = "", code: int = 0) -> None:
        """Add an answer; the last one is given for ever."""
        notes = self.folder / f".{program}"
        notes.mkdir(exist_ok=True)
        number = len(list(notes.glob("*.code"))) + 1
        for kind, text in (("out", output), ("err", said), ("code", str(code))):
            (notes / f"{number}.{kind}").write_text(text, encoding="utf-8")
        path = self.folder / program
        path.write_text(
            f'#!/bin/sh\ncd "{notes}"\nprintf "%s\\n" "$*" >> calls\n'
            "n=$(wc -l < calls)\n"
            'while [ ! -e "$((n)).code" ]; do n=$((n - 1)); done\n'
            'cat "$((n)).out"\ncat "$((n)).err" >&2\nexit "$(cat "$((n)).code")"\n'
        )
        path.chmod(0o755)

    def says(self, program: str, situation: Situation) -> None:
        """Add a recorded answer."""
        self.answers(program, said=situation.said, code=situation.code)

    def calls(self, program: str) -> list[str]:
        """Give the arguments of each call."""
        path = self.folder / f".{program}" / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
