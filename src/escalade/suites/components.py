"""Component benchmarks as a user names them: shipped ones, and programs of one's own."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from escalade.errors import InputError
from escalade.files import sha256_of
from escalade.services.validation import Section, nearest, read_yaml, validated
from escalade.suites.shipped import SHIPPED, Shipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Word = Annotated[str, Field(min_length=1)]
_PLACEHOLDER = re.compile(r"\{(iterations|least_seconds|warmup_seconds)\}")
_UNITS = {
    "_bytes_per_second": "bytes/s",
    "_per_second": "1/s",
    "_seconds": "s",
    "_bytes": "bytes",
    "_ratio": "ratio",
}
"""Units by the end of a value's name, the longest first."""


class Printed(Section):
    """One of the numbers that a program prints."""

    key: str | None = None
    """Its key in the printed JSON (a.b for nested objects) or its group in the pattern; its own name by default."""
    unit: str | None = None
    """Unit after scaling; by the end of its name by default (_seconds: s, _bytes_per_second: bytes/s)."""
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """What the printed number is multiplied with, as 0.001 for a program that prints milliseconds."""
    better: Literal["lower", "higher"] | None = None
    """Which way is better; higher for names that end in _per_second, else lower, by default."""


class Component(Section):
    """A component benchmark: a shipped program, or one of your own that prints numbers or JSON."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$")]
    """Name in the results; a shipped component's own name is enough to run it."""
    kind: str | None = None
    """Shipped component that it runs (`escalade components list`), where its name is another."""
    parameters: dict[str, str | int | float] = Field(default_factory=dict)
    """Parameters of a shipped component, such as bytes: 1048576."""
    command: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    """Program of your own and its words; {iterations}, {least_seconds} and {warmup_seconds} are filled in."""
    values: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Printed] = Field(
        default_factory=dict
    )
    """The numbers that your program prints, by name; all that it prints by default."""
    pattern: str | None = None
    """Regular expression with groups, for a program that prints text: each line that matches is an iteration."""
    iterations: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """Iterations that are measured, at least."""
    least_seconds: Annotated[float, Field(ge=0, le=86_400)] = 2.0
    """How long is measured, at least: a thousand iterations of microseconds are one glimpse."""
    warmup_seconds: Annotated[float, Field(ge=0, le=86_400)] = 10.0
    """Warm-up: iterations that begin within it are not counted."""
    warmup_iterations: Annotated[int, Field(ge=0, le=10_000_000)] | None = None
    """Warm-up as a number of iterations, in place of warmup_seconds."""
    repetitions: Annotated[int, Field(ge=1, le=1000)] = 1
    """Independent runs, each with its own start and warm-up; a comparison needs several."""
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """How long may pass without a number until the program counts as hanging."""
    budget_seconds: Annotated[float, Field(gt=0, le=604_800)] = 600.0
    """How long one repetition may take; what it has measured until then is kept, and says so."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, content: Any) -> Any:
        return {"name": content} if isinstance(content, str) else content

    @field_validator("pattern")
    @classmethod
    def _has_groups(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is no regular expression ({error})") from None
        if not compiled.groupindex:
            raise ValueError(r"has no named group; expected one, as in time=(?P<latency>\d+)")
        return pattern

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Component:
        if self.command is None:
            self._check_shipped()
        elif self.kind is not None or self.parameters:
            raise ValueError(
                "has a command of its own; kind and parameters are of shipped components: leave "
                "either out"
            )
        if self.pattern is not None:
            groups = list(re.compile(self.pattern).groupindex)
            for name, printed in self.values.items():
                if (printed.key or name) not in groups:
                    raise ValueError(f"values.{name}: the pattern has no such group: {groups}")
        return self

    def _check_shipped(self) -> None:
        kind = self.kind or self.name
        if kind not in SHIPPED:
            raise ValueError(
                f"{kind!r} is no shipped component, and there is no command. {nearest(kind, SHIPPED)}"
            )
        if self.values or self.pattern:
            raise ValueError("values and pattern are for a command of your own; leave them out")
        known = SHIPPED[kind].parameters
        for name, value in self.parameters.items():
            if name not in known:
                raise ValueError(f"parameters: unknown key {name!r}. {nearest(name, known)}")
            if not known[name].accepts(value):
                raise ValueError(f"parameters.{name} is {value!r}; expected {known[name].expected}")

    @property
    def shipped(self) -> Shipped | None:
        """The shipped component that it runs; None for a command of one's own."""
        return SHIPPED[self.kind or self.name] if self.command is None else None

    @property
    def argv(self) -> tuple[str, ...]:
        """The command with everything filled in."""
        told = {
            "iterations": str(self.iterations),
            "least_seconds": f"{self.least_seconds:g}",
            "warmup_seconds": f"{self.warmup_seconds:g}",
        }
        words = self._words
        return tuple(_PLACEHOLDER.sub(lambda found: told[found[1]], word) for word in words)

    @property
    def warms_up_itself(self) -> bool:
        """Whether the program is told how long to warm up, so that all that it prints counts."""
        return self.warmup_iterations is None and any(
            "{warmup_seconds}" in word for word in self._words
        )

    @property
    def _words(self) -> tuple[str, ...]:
        if self.command is not None:
            return self.command
        shipped = SHIPPED[self.kind or self.name]
        return shipped.command(
            sys.executable, self.parameters, warms_up=self.warmup_iterations is None
        )

    @property
    def definition(self) -> dict[str, Any]:
        """What makes two measurements ones of the same thing."""
        content = self.model_dump(
            mode="json", exclude={"name", "timeout_seconds", "budget_seconds"}
        )
        if self.shipped is not None:
            content["kind"] = self.kind or self.name
            content["parameters"] = self.shipped.filled(self.parameters)
            content["program"] = sha256_of(self.shipped.source)
        return content

    @property
    def definition_hash(self) -> str:
        """SHA-256 of the definition."""
        told = json.dumps(self.definition, sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def longest_seconds(self) -> float:
        """The longest that all repetitions may take, in s."""
        return self.repetitions * (self.budget_seconds + self.timeout_seconds)


class ComponentList(Section):
    """The key `components` of a campaign, or a file of its own."""

    components: tuple[Component, ...] = Field(min_length=1)
    """Component benchmarks, by name or as mappings."""

    @model_validator(mode="after")
    def _differ_in_name(self) -> ComponentList:
        refuse_same_names(self.components)
        return self


@dataclass(frozen=True)
class Metric:
    """A number that a component measures.

    Attributes
    ----------
    name, unit
        After scaling.
    key
        How the program calls it.
    scale
        Factor from what is printed to the unit.
    better
        "lower" or "higher".
    """

    name: str
    unit: str
    key: str
    scale: float = 1.0
    better: str = "lower"


def metrics_of(component: Component, keys: Sequence[str]) -> list[Metric]:
    """Give the metrics of a component, of which `keys` were printed.

    Raises
    ------
    InputError
        When a declared value was not printed.
    """
    if (shipped := component.shipped) is not None:
        return [Metric(shipped.metric, shipped.unit, "", better=shipped.better)]
    if not component.values:
        return [_undeclared(key) for key in keys]
    if list(keys) == [""] and len(component.values) == 1:  # plain numbers need no key
        ((name, printed),) = component.values.items()
        return [_declared(name, printed, "")]
    found = [
        _declared(name, printed, printed.key or name) for name, printed in component.values.items()
    ]
    for metric in found:
        if metric.key not in keys:
            shown = ", ".join(key or "plain numbers" for key in keys)
            raise InputError(
                f"Component {component.name}: its output lacks {metric.key!r}; it prints: {shown}. "
                "Correct the key under `values`."
            )
    return found


def _declared(name: str, printed: Printed, key: str) -> Metric:
    usual = _undeclared(name)
    unit = usual.unit if printed.unit is None else printed.unit
    return Metric(name, unit, key, printed.scale, printed.better or usual.better)


def _undeclared(key: str) -> Metric:
    name = re.sub(r"[^a-z0-9]+", "_", key.lower()).strip("_") or "value"
    unit = next((unit for end, unit in _UNITS.items() if f"_{name}".endswith(end)), "")
    return Metric(name, unit, key, 1.0, "higher" if name.endswith("_per_second") else "lower")


def refuse_same_names(components: Iterable[Component]) -> None:
    """Insist on names that differ: each has a folder of its own."""
    names = [component.name for component in components]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"components have to differ in name; twice there: {', '.join(doubled)}")


def read_components(path: Path) -> tuple[Component, ...]:
    """Read components from a file of their own, or from the key `components` of a campaign.

    Raises
    ------
    InputError
        When the file can't be used; the message names key, value and what was expected.
    """
    content = read_yaml(path, "components")
    if "campaign" in content:
        if not content.get("components"):
            raise InputError(
                f"{path}: this campaign has no key `components`. Add one, or name some."
            )
        content = {"components": content["components"]}
    return validated(ComponentList, content, str(path)).components


def named(names: Sequence[str], source: str = "components") -> tuple[Component, ...]:
    """Give shipped components by name.

    Raises
    ------
    InputError
        When a name is none; the valid ones are listed.
    """
    for name in names:
        if name not in SHIPPED:
            raise InputError(f"There is no component {name!r}. {nearest(name, SHIPPED)}")
    return validated(ComponentList, {"components": list(names)}, source).components
