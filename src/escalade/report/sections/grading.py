"""The data-quality grade in words: what it is, of which cells, and what kept them from an A."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData

_LEAVES = {"D": "can't be used", "C": "to be read with care", "B": "not checked in full"}
_NAMED = 3


def grade(data: ReportData) -> tuple[str, str] | None:
    """Give the campaign's grade and what it means; None for results that have none."""
    found = _quality(data)
    return (str(found["grade"]), words.clean(found["words"])) if found.get("grade") else None


def grade_lines(data: ReportData) -> list[str]:
    """Say of each cell which grade it has, how many steps have which, and why; empty without one."""
    return [_line(cell) for cell in _quality(data).get("cells") or () if cell.get("grade")]


def _quality(data: ReportData) -> Mapping[str, Any]:
    found = data.verdicts.get("quality")
    return found if isinstance(found, dict) else {}


def _line(cell: Mapping[str, Any]) -> str:
    counts = cell.get("steps") or {}
    total = sum(counts.values())
    parts = [f"{counts[name]} × {name}" for name in "ABCD" if counts.get(name)]
    told = f"{words.clean(cell['cell'])}: {cell['grade']} ({words.counted(total, 'step')}: {', '.join(parts)})"
    causes = [_cause(why) for why in (cell.get("why") or ())[:_NAMED]]
    more = len(cell.get("why") or ()) - _NAMED
    rest = [f"{words.counted(more, 'more gate')}"] if more > 0 else []
    return f"{'; '.join([told, *causes, *rest])}."


def _cause(why: Mapping[str, Any]) -> str:
    gate = words.clean(why["gate"]).replace("_", " ")
    return f"{words.steps(why['steps'])} {_LEAVES.get(str(why['grade']), '')}: {gate}"
