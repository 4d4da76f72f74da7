"""The targets that a cell's Prometheus scrapes."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from escalade.errors import ConflictError, InputError
from escalade.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")

_TAKEN = MappingProxyType(
    {
        "job": "it is the target's job",
        "instance": "it is the target's address",
        "le": "histograms use it",
        "quantile": "summaries use it",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """One /metrics page.

    Parameters
    ----------
    job
        Name of the kind of target, as in "node"; the `job` label of its samples.
    address
        "host:port"; an IPv6 address stands in brackets. The `instance` label.
    path
        Path of the page.
    labels
        Further labels for all its samples. A label that the page has too is renamed
        by Prometheus to `exported_…` in the samples.

    Raises
    ------
    InputError
        When Prometheus would not take one of them, or could not keep it apart.
    """

    job: str
    address: str
    path: str = "/metrics"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse what Prometheus would refuse or rename in silence."""
        where = f"Target {self.job!r} at {self.address!r}"
        if not self.job or not _is_utf8(self.job):
            raise InputError(f"{where}: the job needs a name.")
        found = _ADDRESS.fullmatch(self.address)
        if not found or not 0 < int(found["port"]) < 2**16:
            raise InputError(f"{where}: expected an address as in 127.0.0.1:9100 or [::1]:9100.")
        if not _PATH.fullmatch(self.path):
            raise InputError(f"{where}: the path {self.path!r} is not one as in /metrics.")
        for name, value in self.labels.items():
            _check_label(where, name, value)
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    def to_json(self) -> dict[str, Any]:
        """Give the target as plain JSON content."""
        return {
            "job": self.job,
            "address": self.address,
            "path": self.path,
            "labels": dict(self.labels),
        }


class Registry:
    """A set of targets, each page once.

    Parameters
    ----------
    targets
        What it begins with.
    """

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._targets: dict[tuple[str, str], Target] = {}
        for target in targets:
            self.add(target)

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets, ordered by job, address and path."""
        return tuple(sorted(self._targets.values(), key=lambda it: (it.job, it.address, it.path)))

    def add(self, target: Target) -> None:
        """Add a target.

        Raises
        ------
        InputError
            When its page is there already, under whatever job: every sample of it
            would count twice.
        """
        known = self._targets.setdefault((target.address, target.path), target)
        if known is not target:
            raise ConflictError(
                f"{target.address}{target.path} is a target already, of job {known.job!r}; "
                f"scraped as {target.job!r} too it would count twice. Remove one of them."
            )

    def remove(self, target: Target) -> None:
        """Take a target away.

        Raises
        ------
        InputError
            When it is not there.
        """
        key = (target.address, target.path)
        if self._targets.get(key) != target:
            raise InputError(
                f"{target.address}{target.path} is no target of job {target.job!r}. "
                f"Targets: {', '.join(f'{it.job} {it.address}' for it in self.targets) or 'none'}."
            )
        del self._targets[key]

    def write(self, path: Path) -> None:
        """Write the targets to a JSON file."""
        write_json(path, {"schema": 1, "targets": [target.to_json() for target in self.targets]})

    @classmethod
    def read(cls, path: Path) -> Registry:
        """Read what `write` wrote.

        Raises
        ------
        InputError
            When the file is missing, damaged, or holds something else.
        """
        content = read_json(path, "targets of Prometheus")
        known = {entry.name for entry in dataclasses.fields(Target)}
        try:
            return cls(
                Target(**{key: value for key, value in target.items() if key in known})
                for target in content["targets"]
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"targets of Prometheus: {path} is not a list of targets ({error!r})."
            ) from error


def _check_label(where: str, name: str, value: str) -> None:
    if not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
        raise InputError(
            f"{where}: {name!r} can't name a label: expected letters, digits and _, "
            "no digit first, not two _ first."
        )
    if name in _TAKEN:
        raise InputError(f"{where}: the label {name!r} is taken: {_TAKEN[name]}.")
    if not isinstance(value, str) or not value or not _is_utf8(value):
        raise InputError(
            f"{where}: the label {name!r} has the value {value!r}; expected text: "
            "Prometheus drops a label without one."
        )


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(sign) < 0xE000 for sign in text)  # surrogates
