"""The window of time that is collected: half-open, and wholly within what was recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import yaml

from escalade.analysis.measured.windows import Window
from escalade.errors import InputError, NoDataError
from escalade.monitoring.faults import PrometheusError
from escalade.monitoring.windows.extent import data_extent, extent

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.monitoring.client import PrometheusClient
    from escalade.runtime.slurm.times import JobTimes

WAYS = ("--from-iso with --to-iso", "--last", "--job", "--label")
"""How a window can be given."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:last\s+)?((?:\d+(?:ms|[smhdw]))+)")
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.+)", re.DOTALL)
_JOB = re.compile(r"\d+([+_]\d+)?")
_MILLISECOND = 0.001
_CLOCK_SECONDS = 1.0  # two clocks of one cluster agree to that
_SLACK_SCRAPES = 3
_SLACK_SECONDS = 5.0  # Prometheus scrapes a new target up to six seconds late
_USUAL_INTERVAL = 60.0
_FIRST_YEAR, _LAST_YEAR = 1970, 9998  # beyond, a zone may lead out of the calendar
_MOST_SECONDS = 3650 * _UNITS["d"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the window was asked for, as on the command line; None of what was not given.

    Parameters
    ----------
    from_iso, to_iso
        Times with their zone, as in "2025-10-01T10:00:00Z".
    last
        "10m", "last 1h30m".
    job
        Id of a Slurm job.
    label
        "step=3".
    """

    from_iso: str | None = None
    to_iso: str | None = None
    last: str | None = None
    job: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A window, and where it comes from.

    Parameters
    ----------
    window
        [start, end), in Unix seconds.
    given
        How it was given: "last 10m", "job 1234".
    note
        What was cut off, and why; "" when nothing was.
    """

    window: Window
    given: str
    note: str = ""


def choose(
    client: PrometheusClient, wanted: Wanted, job_times: Callable[[str], JobTimes | None]
) -> Chosen:
    """Find the window that is meant, and make sure that it can be collected.

    Parameters
    ----------
    client
        Asks the Prometheus. Its clock is the one that counts.
    wanted
        One way of giving a window.
    job_times
        Tells when a Slurm job ran.

    Raises
    ------
    InputError
        When no way or several ways are given, a time has no zone, or the window is
        empty, lies in the future or reaches beyond the data. Those of a job and of a
        label are cut to the data, and say so.
    NoDataError
        When nothing was recorded, or nothing has the label.
    InfrastructureError
        When Prometheus or Slurm does not answer.
    """
    _insist_on_one(wanted)
    now = client.now()
    if wanted.from_iso is not None and wanted.to_iso is not None:
        start = parse_time(wanted.from_iso, "--from-iso")
        end = parse_time(wanted.to_iso, "--to-iso")
        given = f"from {wanted.from_iso} to {wanted.to_iso}"
        return Chosen(_within(Window(start, end), _recorded(client, now), client, now), given)
    if wanted.last is not None:
        start, given = now - parse_duration(wanted.last), f"last {wanted.last.split()[-1]}"
        return Chosen(_within(Window(start, now), _recorded(client, now), client, now), given)
    if wanted.job is not None:
        return _of_job(wanted.job, job_times, _recorded(client, now), now)
    return _of_label(client, str(wanted.label), _recorded(client, now))


def parse_time(text: str, option: str) -> float:
    """Read a time with its zone, in Unix seconds.

    Examples
    --------
    >>> parse_time("1970-01-01T01:00:00+01:00", "--from-iso")
    0.0
    """
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{option}: {text!r} is no time; expected one as in 2025-10-01T10:00:00Z."
        ) from None
    if not _FIRST_YEAR <= read.year <= _LAST_YEAR:
        raise InputError(
            f"{option}: {text!r} lies outside of {_FIRST_YEAR} to {_LAST_YEAR}; expected one as in "
            "2025-10-01T10:00:00Z."
        )
    if read.tzinfo is None:
        raise InputError(
            f"{option}: {text!r} has no time zone and would be another moment on another machine. "
            "Add Z for UTC, or the offset, as in 2025-10-01T10:00:00+02:00."
        )
    return read.timestamp()


def parse_duration(text: str) -> float:
    """Read a length of time, in seconds.

    Examples
    --------
    >>> parse_duration("last 1h30m")
    5400.0
    """
    found = _DURATION.fullmatch(text.strip())
    parts = re.findall(r"(\d+)(ms|[smhdw])", found[1]) if found else []
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= _MOST_SECONDS:
        raise InputError(
            f"--last: {text!r} is no length of time up to ten years; expected one as in 10m, 90s "
            "or 1h30m."
        )
    return seconds


def iso(time: float) -> str:
    """Write Unix seconds as people and `parse_time` read them: UTC, to the millisecond.

    Examples
    --------
    >>> iso(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    written = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def configured_interval(client: PrometheusClient) -> float:
    """Give the time between two scrapes that the configuration says, in seconds."""
    try:
        content = yaml.safe_load(client.loaded_configuration())
        return parse_duration(str(content["global"]["scrape_interval"]))
    except (PrometheusError, InputError, yaml.YAMLError, KeyError, TypeError):
        return _USUAL_INTERVAL  # it may stand behind something that gives samples only


def _insist_on_one(wanted: Wanted) -> None:
    bounds = (wanted.from_iso is not None, wanted.to_iso is not None)
    if any(bounds) and not all(bounds):
        there, absent = ("--from-iso", "--to-iso") if bounds[0] else ("--to-iso", "--from-iso")
        raise InputError(f"{there} needs {absent} beside it: a window has two ends.")
    given = (all(bounds), *(way is not None for way in (wanted.last, wanted.job, wanted.label)))
    if sum(given) != 1:
        named = [way for way, is_given in zip(WAYS, given, strict=True) if is_given]
        what = f"{' and '.join(named)} are given" if named else "None is given"
        raise InputError(f"Which window of time? {what}; expected one of {', '.join(WAYS)}.")


def _recorded(client: PrometheusClient, now: float) -> tuple[float, float]:
    found = data_extent(client, now)
    if found is None:
        raise NoDataError(
            f"{client.url} holds no samples. Either it scrapes nothing, or has not begun to: the "
            "first samples come about five seconds after its start. Its page /targets tells."
        )
    return found


def _within(
    window: Window, recorded: tuple[float, float], client: PrometheusClient, now: float
) -> Window:
    if not window.start < window.end:
        raise InputError(
            f"The window from {iso(window.start)} to {iso(window.end)} is empty: expected its "
            "start to lie before its end."
        )
    if window.end > now + _CLOCK_SECONDS:
        raise InputError(
            f"The window ends at {iso(window.end)}, but it is only {iso(now)} by the clock of "
            f"{client.url}. Wait until it is over, or give an earlier end."
        )
    slack = max(_SLACK_SECONDS, _SLACK_SCRAPES * configured_interval(client))
    first, last = recorded
    if window.start < first - slack or window.end > last + slack:
        raise InputError(
            f"The window from {iso(window.start)} to {iso(window.end)} is longer than the data: "
            f"{client.url} has samples from {iso(first)} to {iso(last)}. "
            + _advice(window, first, last + _MILLISECOND)
        )
    return window


def _advice(window: Window, first: float, last: float) -> str:
    start, end = max(window.start, first), min(window.end, last)
    if start >= end:
        return "Choose a window in there."
    return f"Of this window there is --from-iso {iso(start)} --to-iso {iso(end)}."


def _of_job(
    job: str,
    job_times: Callable[[str], JobTimes | None],
    recorded: tuple[float, float],
    now: float,
) -> Chosen:
    if not _JOB.fullmatch(job):
        raise InputError(f"--job: {job!r} is no id of a Slurm job; expected one as in 1234.")
    times = job_times(job)
    if times is None:
        raise InputError(
            f"--job: Slurm knows no job {job}, or has forgotten it and keeps no accounts of it. "
            "Give the window by --from-iso and --to-iso."
        )
    if times.began is None:
        raise InputError(f"--job: job {job} has not run: it is {times.state}.")
    end = now if times.ended is None else times.ended
    note = f"job {job} still runs: up to now" if times.ended is None else ""
    return _cut(Window(times.began, end), f"job {job}", recorded, note)


def _of_label(client: PrometheusClient, label: str, recorded: tuple[float, float]) -> Chosen:
    found = _LABEL.fullmatch(label)
    if found is None:
        raise InputError(f"--label: {label!r} is no label; expected NAME=VALUE, as in step=3.")
    name, value = found.groups()
    times = extent(client, f"{{{name}={promql_text(value)}}}", *recorded)
    if times is None:
        known = client.label_values(name)
        raise NoDataError(
            f"--label: no sample has {name}={value}. "
            + (f"{name} is one of {', '.join(known[:20])}." if known else f"None has {name}.")
        )
    return Chosen(Window(times[0], times[1] + _MILLISECOND), f"label {label}")


def promql_text(value: str) -> str:
    """Write text as PromQL does: quoted, so that it can be nothing but text."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _cut(window: Window, given: str, recorded: tuple[float, float], note: str) -> Chosen:
    """Leave out of a job's time what was not recorded: it began before its Prometheus did."""
    first, last = recorded[0], recorded[1] + _MILLISECOND
    start, end = max(window.start, first), min(window.end, last)
    if start >= end:
        raise NoDataError(
            f"{given} ran from {iso(window.start)} to {iso(window.end)}, but there are samples from "
            f"{iso(recorded[0])} to {iso(recorded[1])} only."
        )
    cuts = [note] if note else []
    if start > window.start + _SLACK_SECONDS:
        cuts.append(f"{start - window.start:.1f} s before the first sample are left out")
    if end < window.end - _SLACK_SECONDS:
        cuts.append(f"{window.end - end:.1f} s after the last sample are left out")
    return Chosen(Window(start, end), given, "; ".join(cuts))
