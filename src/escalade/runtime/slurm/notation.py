"""How Slurm writes values: times, exit codes, host lists, `Key=value` entries."""

from __future__ import annotations

import math
import re

from escalade.errors import InfrastructureError

SEPARATOR = "\x1f"
"""Between the fields that are asked for: ASCII's unit separator, which no value holds."""

_MOST_HOSTS = 100_000

_NOT_SIGNALS = {53, 125}
"""Slurm's own marks in the place of a signal: log not writable, out of memory."""


def scontrol_entries(text: str, first_key: str) -> list[dict[str, str]]:
    """Divide what `scontrol show` printed into entries of `Key=value`.

    Parameters
    ----------
    text
        The whole output.
    first_key
        The key that every entry begins with: "JobId", "PartitionName", "NodeName".

    Notes
    -----
    A value ends before the next ` Key=`. Free text (a comment, a job's command) may
    itself hold such a pair; the first of two equal keys is the one that counts, and
    all that is read here stands before any free text but the job's name.
    """
    entries = []
    for part in re.split(rf"(?:^|\n)\s*(?={first_key}=)", text)[1:]:
        entry: dict[str, str] = {}
        for found in re.finditer(r"(?:^|\s)([A-Z][\w/:]*)=(.*?)(?=\s+[A-Z][\w/:]*=|\s*$)", part):
            entry.setdefault(found[1], found[2].strip())
        entries.append(entry)
    return entries


def parse_exit_code(text: str) -> tuple[int | None, int | None]:
    """Read "code:signal"; one of the two is None, both when there is no such pair.

    The shell's way of saying that a signal ended a command (128 + n) stays a code.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if found is None:
        return None, None
    code, signal = int(found[1]), int(found[2])
    if signal in _NOT_SIGNALS:
        return None, None
    return (None, signal) if signal else (code, None)


def parse_time(text: str) -> float | None:
    """Read a duration in seconds.

    Parameters
    ----------
    text
        "30" (minutes), "03:04", "02:03:04", "1-02", "1-02:03" or "1-02:03:04".

    Returns
    -------
    float or None
        `math.inf` for UNLIMITED; None for what is no duration ("INVALID",
        "NOT_SET", "Partition_Limit", "N/A", "").
    """
    word = text.strip()
    if word.upper() in {"UNLIMITED", "INFINITE"}:
        return math.inf
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", word)
    if found is None:
        return None
    days, *parts = found.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        numbers += [0] * (3 - len(numbers))
        return float(int(days) * 86400 + _sixties(numbers))
    return float(_sixties(numbers) if len(numbers) > 1 else numbers[0] * 60)


def _sixties(numbers: list[int]) -> int:
    total = 0
    for number in numbers:
        total = total * 60 + number
    return total


def expand_hosts(text: str) -> tuple[str, ...]:
    """Expand a host list: "mel[0001-0003,0007],login" gives five names.

    Several brackets in one name multiply ("r[1-2]n[1-2]"), the last one fastest.
    "(null)", "None assigned" and "" give none.

    Raises
    ------
    InfrastructureError
        When brackets don't match or a range is none.
    """
    word = text.strip()
    if word in {"", "(null)", "None assigned", "None", "n/a", "N/A"}:
        return ()
    hosts: list[str] = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", word):
        hosts.extend(_expand_host(part, word))
    if len(hosts) > _MOST_HOSTS or word.count("[") != word.count("]"):
        raise unexpected("Slurm", word, "a list of hosts such as node[1-3,7],login")
    return tuple(hosts)


def _expand_host(part: str, whole: str) -> list[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        return [part]
    inside, _, after = rest.partition("]")
    numbers: list[str] = []
    for piece in inside.split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", piece)
        first, last = (found[1], found[2] or found[1]) if found else ("1", "0")
        if not 0 <= int(last) - int(first) < _MOST_HOSTS:
            raise unexpected("Slurm", whole, "a list of hosts such as node[1-3,7],login")
        numbers += [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    ends = _expand_host(after, whole)
    return [f"{before}{number}{end}" for number in numbers for end in ends]


def unexpected(program: str, text: str, expected: str) -> InfrastructureError:
    """Make the error for output that can't be read."""
    readable = text.replace(SEPARATOR, "|")[:200]
    return InfrastructureError(
        f"{program} printed {readable!r}; expected {expected}. Another program of that name on "
        "PATH, or a Slurm that this version has not met: see `sinfo --version`."
    )
