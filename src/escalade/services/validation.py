"""From a file that a user wrote to a checked model, or to one clear message.

The message names the file, the key, the value and what was expected; an unknown
key is answered with the nearest valid one. It fits on one screen.
"""

from __future__ import annotations

import difflib
import typing
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
NAME = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME)]
"""What names a thing in results: it becomes part of a path."""

_SHOWN = 12
_VALUE_WIDTH = 60
_UNKNOWN_KEY = "extra_forbidden"
_WHOLE, _NUMBER, _LIST, _MAPPING = "a whole number", "a number", "a list", "lines `key: value`"
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": _MAPPING,
    "finite_number": "a finite number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": _LIST,
    "literal_error": "{expected}",
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_type": "text",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
    "tuple_type": _LIST,
}
"""What to call an expectation of pydantic, by its error type; its own words for any other."""


class Section(BaseModel):
    """What the parts of recipes and catalogues share: no unknown keys, no changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; `what` names it, as in "recipe".

    Raises
    ------
    InputError
        When the file is missing, is no YAML, holds no mapping, or has a key twice
        (of which YAML readers silently keep the last).
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceLoader)  # noqa: S506 - it is a SafeLoader
    except FileNotFoundError:
        raise InputError(f"{what}: {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what}: {path} can't be read ({error}).") from error
    except yaml.YAMLError as error:
        raise InputError(f"{what}: {path} is no valid YAML. {_place(error)}") from None
    if not isinstance(content, dict):
        raise InputError(
            f"{what}: {path} holds {_shown(content)}; expected a mapping, that is, lines `key: value`."
        )
    return content


def validated(model: type[Model], content: Any, source: str) -> Model:
    """Check `content` against `model`; `source` names its file in the message.

    Raises
    ------
    InputError
        With everything that is wrong, as `explain` words it.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(explain(error, source, model)) from None


def explain(error: ValidationError, source: str, model: type[BaseModel] | None = None) -> str:
    """Word a failed validation for the person who wrote the file.

    Parameters
    ----------
    error
        What pydantic raised.
    source
        The file, as the person knows it.
    model
        The model that was validated against, for the names of valid keys; by
        default the one that the error itself names.

    Returns
    -------
    str
        One line per problem with key path, value and what was expected, at most
        twelve, and what to do next.
    """
    root = model or _model_called(error.title)
    problems = [problem for problem in error.errors(include_url=False) if not _follows(problem)]
    lines = [f"  {_problem(problem, root)}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  … and {len(problems) - _SHOWN} more.")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{source} can't be used, {count}:", *lines, "Correct it and start again."])


def nearest(name: str, valid: Iterable[str]) -> str:
    """Answer an unknown name: the nearest valid one if any is near, and all that are valid."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"{hint}Valid: {', '.join(names)}." if names else "There is none to choose from."


def key_path(parts: Sequence[int | str]) -> str:
    """Write a place in a file as people do: `load.ladder[2].target_qps`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _problem(problem: ErrorDetails, root: type[BaseModel] | None) -> str:
    parts = problem["loc"]
    where = key_path(parts) or "the whole"
    if problem["type"] == _UNKNOWN_KEY:
        return f"{where}: unknown key. {_valid_keys(root, parts)}".rstrip()
    if problem["type"] == "missing":
        return f"{where}: is missing. {_description(root, parts)}".rstrip()
    message = problem["msg"]
    if problem["type"] in {"value_error", "assertion_error"}:
        message = message.partition(", ")[2]
        shown = "" if isinstance(problem["input"], dict | BaseModel) else _shown(problem["input"])
        return ": ".join(part for part in (key_path(parts), shown, message) if part)
    if problem["type"] in _EXPECTED:
        message = f"expected {_EXPECTED[problem['type']].format(**problem.get('ctx', {}))}"
    return f"{where}: {_shown(problem['input'])} is not accepted; {message}."


def _follows(problem: ErrorDetails) -> bool:
    """Tell a list that is too short only because its entries were refused one by one."""
    shortest = problem.get("ctx", {}).get("min_length", 0)
    return problem["type"] == "too_short" and len(problem["input"]) >= shortest


def _valid_keys(root: type[BaseModel] | None, parts: Sequence[int | str]) -> str:
    models = _models_at(root, parts[:-1])
    names = [name for model in models for name in model.model_fields]
    return nearest(str(parts[-1]), names) if names else ""


def _description(root: type[BaseModel] | None, parts: Sequence[int | str]) -> str:
    """Say what a missing key would hold, from the field's own description."""
    fields = [_field(model, parts[-1]) for model in _models_at(root, parts[:-1])]
    said = next((field.description for field in fields if field and field.description), "")
    return f"Expected: {said}" if said else ""


def _models_at(
    root: type[BaseModel] | None, parts: Sequence[int | str]
) -> tuple[type[BaseModel], ...]:
    """Follow a path of keys and indexes to the models that stand there."""
    models: tuple[type[BaseModel], ...] = (root,) if root else ()
    for part in parts:
        fields = [_field(model, part) for model in models]
        found = [field for field in fields if field is not None]
        if found:  # an index or the key of a mapping stays with the models it is in
            models = tuple(model for field in found for model in _models_in(field.annotation))
    return models


def _field(model: type[BaseModel], part: int | str) -> FieldInfo | None:
    return model.model_fields.get(part) if isinstance(part, str) else None


def _models_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(model for part in typing.get_args(annotation) for model in _models_in(part))


def _model_called(title: str) -> type[BaseModel] | None:
    """Find the model of that name; None when none or several have it."""
    found, waiting = [], [BaseModel]
    while waiting:
        children = waiting.pop().__subclasses__()
        found += [child for child in children if child.__name__ == title]
        waiting += children
    return found[0] if len(found) == 1 else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_WIDTH else f"{text[: _VALUE_WIDTH - 1]}…"


def _place(error: yaml.YAMLError) -> str:
    """Say where and what: PyYAML's own text quotes the whole surroundings."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{error}".strip()
    mark = error.problem_mark
    return f"Line {mark.line + 1}, column {mark.column + 1}: {error.problem}."


class _OnceLoader(yaml.SafeLoader):
    """A safe loader for which a key that stands twice is an error."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping and look at its keys."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add((key.tag, key.value))
        return node
