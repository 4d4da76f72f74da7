"""Command templates: words with placeholders in braces, some given only when a parameter is set.

A word may hold `{name}`; a literal brace is written twice. Nothing else of
Python's format language is understood.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from escalade.services.validation import Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from escalade.services.parameters import Value


class Argument(Section):
    """One or more words of a command that stand or fall together."""

    words: Annotated[tuple[str, ...], Field(min_length=1)]
    """The words, with placeholders."""
    when: str | None = None
    """Parameter without which, or with which false, the words are left out."""
    for_each: Literal["model"] | None = None
    """Repeat the words for every model, with its own model_path and model_name."""


def _from_words(written: Any) -> Any:
    if isinstance(written, str):
        return {"words": (written,)}
    return {"words": written} if isinstance(written, list) else written


Words = Annotated[Argument, BeforeValidator(_from_words)]
"""An `Argument`, which may be written as one word or as a list of words."""


def placeholders(template: str) -> list[str]:
    """Name the placeholders of a template in their order.

    Raises
    ------
    ValueError
        When braces do not match, or hold more than a name.
    """
    names = []
    for _, name, format_spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if format_spec or conversion or not name.isidentifier():
            raise ValueError(f"{template!r}: expected a name in braces, as in {{port}}")
        names.append(name)
    return names


def fill(template: str, values: Mapping[str, Value]) -> str:
    """Put values in place of the placeholders; true and false are written small."""
    return template.format_map({name: as_text(value) for name, value in values.items()})


def fill_values(written: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Any]:
    """Fill the texts of a mapping; a text that is but a placeholder becomes the value itself.

    One whose value is not known is left out.
    """
    filled = {}
    for key, template in written.items():
        names = placeholders(template) if isinstance(template, str) else []
        if not set(names) <= set(values):
            continue
        alone = len(names) == 1 and template == f"{{{names[0]}}}"
        if alone:
            filled[key] = values[names[0]]
        else:
            filled[key] = fill(template, values) if isinstance(template, str) else template
    return filled


def as_text(value: Value) -> str:
    """Write a value as programs expect it on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def fill_command(
    command: Iterable[Argument],
    values: Mapping[str, Value],
    models: Iterable[Mapping[str, Value]],
) -> tuple[str, ...]:
    """Make the words of a command.

    Parameters
    ----------
    command
        The template.
    values
        Placeholders that have a value.
    models
        For each model its own placeholders.
    """
    known_models = list(models)
    words: list[str] = []
    for argument in command:
        if argument.when is not None and values.get(argument.when, False) is False:
            continue
        rounds = known_models if argument.for_each else [{}]
        for model in rounds:
            words += [fill(word, {**values, **model}) for word in argument.words]
    return tuple(words)
