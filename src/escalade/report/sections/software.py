"""Versions, seeds and the driver that a campaign ran with, from its provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from escalade.report.sections.identity import Facts

_TOLD = ("software", "source", "protocol", "seeds", "driver")
"""Parts of the provenance that are listed; the others have a place of their own."""


def software(provenance: Mapping[str, Any]) -> tuple[Facts, Facts]:
    """Flatten the provenance; long lists of packages come apart."""
    packages: Facts = []
    rows: Facts = []
    for path, value in _flat(provenance):
        if "packages" in path[:-1]:
            packages.append((path[-1], value))
        elif path[0] in _TOLD:
            shown = path[1:] if len(path) > 1 and path[0] == "software" else path
            rows.append((_named(shown), value))
    return rows, packages


def _named(path: tuple[str, ...]) -> str:
    """Name a fact by its place; a cell's name stays as it is."""
    if path[0] == "seeds":
        return f"Seed of {' '.join(path[1:])}"
    return words.sentence(" ".join(path).replace("_", " ")).rstrip(".")


def _flat(content: Any, path: tuple[str, ...] = ()) -> Iterable[tuple[tuple[str, ...], str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, (*path, words.clean(key)))
    elif isinstance(content, list):
        yield path, ", ".join(words.clean(value) for value in content) or "none"
    else:
        told = {None: "not recorded", True: "yes", False: "no"}
        yield (
            path,
            told[content] if content is None or isinstance(content, bool) else words.clean(content),
        )
