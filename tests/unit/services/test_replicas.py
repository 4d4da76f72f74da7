"""What each copy of a service gets of its nodes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from escalade.runtime.allocation import Place
from escalade.services.replicas import part, shares


def place(node: str = "n1", cpus: int = 4, gpus: tuple[str, ...] = ()) -> Place:
    return Place(node, "127.0.0.1", tuple(range(cpus)), gpus)


def test_the_only_copy_has_its_whole_place_and_the_step_that_it_always_had() -> None:
    (only,) = shares([place(gpus=("0", "1"))], 1)

    assert (only.step, only.words) == ("service", "the service")
    assert (only.cpus, only.gpus, only.gpu_count) == ((0, 1, 2, 3), None, 2)


def test_copies_of_one_node_get_equal_parts_side_by_side() -> None:
    first, second = shares([place(cpus=5, gpus=("3", "5"))], 2)

    # 5 CPUs for two: 2 each, and one stays idle, so that the copies are alike
    assert (first.cpus, second.cpus) == ((0, 1), (2, 3))
    assert (first.gpus, second.gpus) == (("3",), ("5",))
    assert (first.step, second.step) == ("service-1", "service-2")
    assert second.words == "replica 2 of the service"


def test_copies_go_to_the_nodes_in_turn() -> None:
    found = shares([place("n1"), place("n2")], 3)

    assert [each.place.node for each in found] == ["n1", "n2", "n1"]
    # two share the first node, the third has the second for itself
    assert [each.cpus for each in found] == [(0, 1), (0, 1, 2, 3), (2, 3)]


def test_where_there_is_too_little_copies_share_it() -> None:
    found = shares([place(cpus=1, gpus=("0",))], 3)

    assert {each.cpus for each in found} == {(0,)}
    assert {each.gpus for each in found} == {None}


def test_gpus_that_the_place_does_not_name_are_shared_out_as_well() -> None:
    first, second = shares([place()], 2, {"n1": ["0", "1"]})

    assert (first.gpus, second.gpus) == (("0",), ("1",))
    assert second.gpu_count == 1


@given(things=st.integers(0, 40), of=st.integers(1, 8))
def test_parts_are_equal_and_nothing_is_given_twice(things: int, of: int) -> None:
    parts = [part(tuple(range(things)), nth, of) for nth in range(of)]

    assert {len(each) for each in parts} == {things // of or things}
    if things >= of:
        given_out = [thing for each in parts for thing in each]
        assert given_out == sorted(set(given_out))
