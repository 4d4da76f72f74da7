"""The configuration file of a Prometheus, and what promtool says of it."""

from __future__ import annotations

import itertools
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from escalade.errors import InfrastructureError, InputError
from escalade.runtime import tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from escalade.monitoring.registry import Registry, Target

_OWN_PATH = "/metrics"
_CHECK_SECONDS = 60.0
_UNITS = (
    ("y", 31_536_000_000, True),
    ("w", 604_800_000, True),
    ("d", 86_400_000, True),
    ("h", 3_600_000, False),
    ("m", 60_000, False),
    ("s", 1000, False),
    ("ms", 1, False),
)
"""Of Prometheus' durations: name, milliseconds, whether it is named only where nothing is left over."""
_READER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_WRITER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml where PyYAML has it: ten times as fast with a thousand targets."""


class _Text(str):
    """A string that is written in double quotes: YAML 1.1 and 1.2 read it alike."""

    __slots__ = ()


class _Dumper(_WRITER):  # type: ignore[misc]
    """Writes `_Text` quoted, and never an anchor."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of PyYAML
        return True


_Dumper.add_representer(
    _Text,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"'),
)


def render(
    registry: Registry, scrape_interval: float = 1.0, rule_files: Sequence[Path] = ()
) -> str:
    """Give prometheus.yml for the targets of a registry.

    Parameters
    ----------
    registry
        One `scrape_config` for each job; the timeout of a scrape is its interval.
    scrape_interval
        Seconds, 0.001 at least; rules are evaluated as often.
    rule_files
        Absolute paths.

    Returns
    -------
    str
        YAML: the same registry gives the same text.

    Raises
    ------
    InputError
        When the interval is shorter than Prometheus can count.
    """
    milliseconds = round(scrape_interval * 1000)
    if milliseconds < 1:
        raise InputError(
            f"A scrape interval of {scrape_interval} s is too short: expected 0.001 s or more."
        )
    jobs = itertools.groupby(registry.targets, key=lambda target: target.job)
    rules: dict[str, Any] = {}
    if rule_files:
        rules = {"rule_files": [_Text(path) for path in rule_files]}
    interval = _duration(milliseconds)
    own = {"evaluation_interval": interval} if rule_files else {}
    content = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, **own},
        **rules,
        "scrape_configs": [
            {"job_name": _Text(job), "static_configs": _groups(targets)} for job, targets in jobs
        ],
    }
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=False)


def check(kind: str, path: Path) -> None:
    """Have promtool read a file as Prometheus would.

    Parameters
    ----------
    kind
        "config", which has its rule files read too, or "rules".
    path
        The file.

    Raises
    ------
    InputError
        When promtool refuses it; with its words.
    InfrastructureError
        When promtool does not answer.
    ToolMissingError
        When there is no promtool on this machine.
    """
    command = [str(tools.find("promtool").path), "check", kind, str(path)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(f"promtool could not check {path}: {error}.") from error
    if done.returncode != 0:
        said = "\n".join(f"  {line}" for line in (done.stderr or done.stdout).splitlines() if line)
        raise InputError(f"{path} is nothing that Prometheus takes; promtool says:\n{said}")


def says(loaded: str, wanted: str) -> bool:
    """Tell whether a configuration says all that another says; more may be added.

    Parameters
    ----------
    loaded
        As Prometheus shows it, with its defaults.
    wanted
        As `render` gave it.
    """
    return _holds(_plain(loaded), _plain(wanted))


def _groups(targets: Iterable[Target]) -> list[dict[str, Any]]:
    return [{"targets": [_Text(target.address)], **_labels(target)} for target in targets]


def _labels(target: Target) -> dict[str, Any]:
    labels = {name: _Text(value) for name, value in sorted(target.labels.items())}
    if target.path != _OWN_PATH:  # by label, since a job may have pages at several paths
        labels["__metrics_path__"] = _Text(target.path)
    return {"labels": labels} if labels else {}


def _duration(milliseconds: int) -> str:
    """Spell a duration as Prometheus itself does, so that the two can be compared."""
    spelled = ""
    for unit, length, only_whole in _UNITS:
        if milliseconds >= length and not (only_whole and milliseconds % length):
            number, milliseconds = divmod(milliseconds, length)
            spelled += f"{number}{unit}"
    return spelled


def _plain(configuration: str) -> Any:
    """Read YAML with every scalar as text, so that no reader's idea of types matters."""
    try:
        return yaml.load(configuration, Loader=_READER)  # noqa: S506 - texts only: safe
    except yaml.YAMLError:
        return None


def _holds(loaded: Any, wanted: Any) -> bool:
    """Tell whether `loaded` says all that `wanted` says; defaults may be added."""
    if isinstance(wanted, dict):
        return isinstance(loaded, dict) and all(
            _holds(loaded.get(key, []), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(loaded, list)
            and len(loaded) == len(wanted)
            and all(map(_holds, loaded, wanted))
        )
    return bool(loaded == wanted)
