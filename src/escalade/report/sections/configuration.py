"""The configuration as it was resolved, with what is not at its default marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalade.report.data import ReportData


@dataclass(frozen=True)
class Line:
    """A line of the configuration, and whether it is not at its default."""

    text: str
    chosen: bool


def configuration(data: ReportData) -> tuple[Line, ...]:
    """Write the configuration as YAML; a line is chosen where its key, or a key in its one line, is."""
    text = yaml.safe_dump(data.campaign, sort_keys=False, allow_unicode=True, width=100)
    marked = {
        line
        for path, line in _places(yaml.compose(text, Loader=yaml.SafeLoader), "")
        if path in (data.chosen or ())
    }
    return tuple(Line(line, number in marked) for number, line in enumerate(text.splitlines()))


def _places(node: yaml.Node | None, path: str) -> Iterable[tuple[str, int]]:
    """Give each key of a configuration by its path, with its line from 0."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}{key.value}"
            yield inner, key.start_mark.line
            yield from _places(value, f"{inner}/")
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield f"{path}{place}", value.start_mark.line
            yield from _places(value, f"{path}{place}/")
