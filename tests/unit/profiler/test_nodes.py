"""The nodes of a head: who sends, who is silent, who is taken for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.errors import ConflictError
from escalade.profiler.head import nodes as module
from escalade.profiler.head.nodes import Nodes

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def nodes(tmp_path: Path, clock: Clock, said: list[str]) -> Nodes:
    return Nodes(tmp_path / "nodes.json", said.append)


def test_a_node_is_healthy_from_its_first_readings_on_and_for_thirty_seconds(
    nodes: Nodes, clock: Clock
) -> None:
    nodes.connect("alpha", "aaaaaaaa", 8, 0.1)
    assert not nodes.all()[0].healthy(clock.now), "it has sent nothing yet"

    nodes.sent("alpha", 0.2, 0, taken=True)
    (node,) = nodes.all()
    assert node.healthy(clock.now + 30)
    assert not node.healthy(clock.now + 30.1)
    assert (node.gpus, node.clock_offset_seconds, node.queue_bytes) == (8, 0.2, 0)


def test_silence_and_return_are_said_once(nodes: Nodes, clock: Clock, said: list[str]) -> None:
    nodes.connect("alpha", "aaaaaaaa", 8, 0.0)
    nodes.sent("alpha", None, None, taken=True)
    for _ in range(8):
        clock.now += 5
        nodes.look()
    nodes.sent("alpha", None, None, taken=True)
    nodes.look()

    assert [line for line in said if "unhealthy" in line] == [
        "alpha: nothing came for 30 s: unhealthy"
    ]
    assert said[-1] == "alpha: is back"


def test_a_name_is_taken_while_its_agent_speaks_and_not_by_itself(
    nodes: Nodes, clock: Clock
) -> None:
    nodes.connect("alpha", "aaaaaaaa", 0, 0.0)
    nodes.connect("alpha", "aaaaaaaa", 8, 0.0)
    with pytest.raises(ConflictError, match="Another agent sends as node 'alpha'"):
        nodes.connect("alpha", "bbbbbbbb", 8, 0.0)

    clock.now += 11
    nodes.connect("alpha", "bbbbbbbb", 8, 0.0)
    nodes.leave("alpha", "aaaaaaaa")
    assert not nodes.all()[0].left, "another one's goodbye says nothing"
    nodes.leave("alpha", "bbbbbbbb")
    assert nodes.all()[0].left
    nodes.connect("alpha", "cccccccc", 8, 0.0)


def test_what_is_known_outlives_the_head_and_a_damaged_file_does_not_hurt(
    tmp_path: Path, nodes: Nodes, clock: Clock, said: list[str]
) -> None:
    nodes.connect("alpha", "aaaaaaaa", 8, 0.5)
    nodes.sent("alpha", None, 7, taken=False)
    nodes.look()

    (again,) = Nodes(tmp_path / "nodes.json", said.append).all()
    assert (again.name, again.rejected, again.queue_bytes) == ("alpha", 1, 7)
    (tmp_path / "nodes.json").write_text("garbage")
    assert Nodes(tmp_path / "nodes.json", said.append).all() == []
