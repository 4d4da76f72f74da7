"""Parameters of a recipe: their types, their bounds, and the values they come to have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from escalade.errors import InputError
from escalade.services.validation import Section, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = bool | int | float | str
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "string": ((str,), "text"),
    "boolean": ((bool,), "true or false"),
}


class Parameter(Section):
    """What a deployment may set."""

    type: Literal["integer", "number", "string", "boolean"]
    """Type of the value."""
    description: Annotated[str, Field(min_length=1)]
    """What it does, in one sentence, with its unit."""
    default: Value | None = None
    """Value when the deployment gives none; without one the parameter is not set."""
    default_from: Literal["service_cpus"] | None = None
    """Where the default comes from instead: the number of CPUs that the service may use."""
    required: bool = False
    """Whether the deployment has to give it."""
    minimum: float | None = None
    """Smallest value."""
    maximum: float | None = None
    """Largest value."""
    choices: Annotated[tuple[Value, ...], Field(min_length=1)] | None = None
    """The only values there are."""

    @model_validator(mode="after")
    def _consistent(self) -> Parameter:
        if self.default is not None and not self.accepts(self.default):
            raise ValueError(f"default is {self.default!r}, expected {self.expected}")
        sources = [self.default is not None, self.default_from is not None, self.required]
        if sum(sources) > 1:
            raise ValueError("only one of default, default_from and required can be given")
        if self.default_from is not None and self.type != "integer":
            raise ValueError(f"default_from {self.default_from} goes with type integer")
        if (self.minimum, self.maximum) != (None, None) and self.type in {"string", "boolean"}:
            raise ValueError(f"minimum and maximum mean nothing for type {self.type}")
        return self

    @property
    def always_set(self) -> bool:
        """Whether the parameter has a value even when the deployment gives none."""
        return self.default is not None or self.default_from is not None or self.required

    @property
    def expected(self) -> str:
        """Name the values it takes, as in "a whole number, at least 1"."""
        if self.choices is not None:
            return " or ".join(repr(choice) for choice in self.choices)
        bounds = []
        if self.minimum is not None:
            bounds.append(f"at least {_plain(self.minimum)}")
        if self.maximum is not None:
            bounds.append(f"at most {_plain(self.maximum)}")
        return ", ".join([_TYPES[self.type][1], " and ".join(bounds)]).removesuffix(", ")

    @property
    def default_shown(self) -> str:
        """Name the default, as in "default 4"."""
        if self.required:
            return "required"
        if self.default_from is not None:
            return "default: the number of the service's CPUs"
        return "not set by default" if self.default is None else f"default {self.default!r}"

    def accepts(self, value: object) -> bool:
        """Tell whether `value` has the type and keeps the bounds."""
        types = _TYPES[self.type][0]
        if not isinstance(value, types) or isinstance(value, bool) != (self.type == "boolean"):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if self.choices is not None and value not in self.choices:
            return False
        if isinstance(value, str):
            return True
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return low <= float(value) <= high  # type: ignore[arg-type]


def check_given(known: Mapping[str, Parameter], given: Mapping[str, object], where: str) -> None:
    """Refuse parameters that are unknown, missing, or of a value that is not accepted.

    Raises
    ------
    InputError
        With `where`, the key, the value and what was expected.
    """
    for name, value in given.items():
        if name not in known:
            raise InputError(f"{where}: there is no parameter {name!r}. {_valid(name, known)}")
        if not known[name].accepts(value):
            raise InputError(
                f"{where}: parameter {name} is {value!r}; expected {known[name].expected} "
                f"({known[name].description.rstrip('.')})."
            )
    missing = [name for name, entry in known.items() if entry.required and name not in given]
    if missing:
        raise InputError(
            f"{where}: parameter {missing[0]} is missing; expected {known[missing[0]].expected} "
            f"({known[missing[0]].description.rstrip('.')})."
        )


def settle(
    known: Mapping[str, Parameter], given: Mapping[str, Value], service_cpus: int
) -> dict[str, Value]:
    """Give every parameter that has a value, from the deployment or by default."""
    values: dict[str, Value] = {}
    for name, entry in known.items():
        if name in given:
            values[name] = given[name]
        elif entry.default_from is not None:
            values[name] = service_cpus
        elif entry.default is not None:
            values[name] = entry.default
    return values


def _valid(name: str, known: Mapping[str, Parameter]) -> str:
    if not known:
        return "The recipe takes none."
    hint = nearest(name, known).partition("Valid:")[0]
    lines = [
        f"  {valid}: {entry.expected}, {entry.default_shown}. {entry.description}"
        for valid, entry in known.items()
    ]
    return "\n".join([f"{hint}Valid:", *lines])


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
