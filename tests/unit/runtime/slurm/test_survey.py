"""Which address a node is known by, when several nodes have to reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.runtime.allocation import Place
from escalade.runtime.slurm import survey

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENTS = [Place("one", "10.0.0.1", (0,)), Place("two", "10.0.0.2", (0,))]


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        ({"one": {"ib", "eth"}, "two": {"ib", "eth"}}, "ib"),
        ({"one": {"ib", "eth"}, "two": {"eth"}}, "eth"),
        ({"one": {"eth"}, "two": {"ib", "eth"}}, "eth"),
        ({"one": {"ib"}, "two": {"eth"}}, None),
        ({"one": set(), "two": {"ib", "eth"}}, None),
    ],
)
def test_the_first_address_that_all_nodes_of_the_client_reach(
    reached: dict[str, set[str]], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(
        job: str, place: Place, function: Any, candidates: Sequence[str], *_: Any
    ) -> str | None:
        assert (job, function.__name__) == ("7", "first_reached")
        return next((each for each in candidates if each in reached[place.node]), None)

    monkeypatch.setattr(survey.steps, "call", call)

    assert survey._first_reached_by_all("7", CLIENTS, ["ib", "eth"], 9, "word") == expected
