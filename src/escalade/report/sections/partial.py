"""What has to be said first of a campaign that is not over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.report import words

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def partial_words(data: ReportData) -> str:
    """Say how far the campaign is, and what stands out; empty when it is over."""
    state = data.partial
    if state is None:
        return ""
    verb = "is" if len(state.measured) == 1 else "are"
    groups: dict[str, list[str]] = {}
    for name, how_far in state.left.items():
        groups.setdefault(how_far, []).append(words.clean(name))
    sentences = (
        f"{state.words} {verb} measured, and only that is on this page",
        *(f"{how_far}: {words.listed(names)}" for how_far, names in groups.items()),
        "the verdicts can change with every cell that is still to come"
        if groups
        else "nothing is left to measure; the campaign's own report is not this one",
    )
    return " ".join(words.sentence(each) for each in sentences)
