"""The rooms of the analysis stand above each other: imports go down only."""

import ast
from pathlib import Path

import pytest

import escalade.analysis

HOUSE = Path(escalade.analysis.__path__[0])
PREFIX = "escalade.analysis."
ROOMS = [
    "measured",
    "stats",
    "kpis",
    "gates",
    "capacity",
    "bounds",
    "verdicts",
    "compare",
    "scenarios",
    "findings",
]
"""From the ground up: a module imports from its own room and from those before it."""


def imported_rooms(source: str) -> set[str]:
    """Give the rooms that a module imports from, type hints included."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    names = [node.module for node in nodes if node.module is not None]
    return {name.removeprefix(PREFIX).split(".")[0] for name in names if name.startswith(PREFIX)}


def test_every_module_is_in_a_room() -> None:
    assert {path.name for path in HOUSE.glob("*.py")} == {"__init__.py"}
    assert {path.parent.name for path in HOUSE.glob("*/*.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_from_those_beneath_it_only(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    above = {
        path.name: found - allowed
        for path in (HOUSE / room).glob("*.py")
        if (found := imported_rooms(path.read_text("utf-8"))) - allowed
    }
    assert not above


def test_an_import_from_a_room_above_is_seen() -> None:
    assert imported_rooms("from escalade.analysis.gates.gate import Gate") == {"gates"}
    assert imported_rooms("def f():\n    from escalade.analysis.kpis import steps") == {"kpis"}
