"""Collections of vectors: seeded, and exact neighbours that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from escalade.load.stores.vectors import DISTRIBUTIONS, Collection, ExactNeighbours, recall


def nearest(query: list[float], vectors: list[list[float]], k: int, distance: str) -> list[int]:
    exact = ExactNeighbours(np.array([query], np.float32), k, distance)
    for first in range(len(vectors)):  # shown one by one
        exact.show(first, np.array([vectors[first]], np.float32))
    found: list[int] = exact.ids[0].tolist()
    return found


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        ("l2", [1, 0]),  # (1, 0) is 1.0 from (2, 0), (0, 1) is 2.2, (9, 1) is 7.1
        ("cosine", [1, 2]),  # the same direction, then (9, 1)
        ("inner_product", [2, 1]),  # 18, 2, 0
    ],
)
def test_neighbours_are_those_worked_out_by_hand(distance: str, expected: list[int]) -> None:
    assert nearest([2, 0], [[0, 1], [1, 0], [9, 1]], 2, distance) == expected


def test_of_two_as_near_the_first_id_comes_first() -> None:
    assert nearest([0, 0], [[1, 0], [0, 1], [5, 5], [-1, 0]], 3, "l2") == [0, 1, 3]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_collection_is_the_same_for_the_same_seed_alone(distribution: str) -> None:
    one, same, other = (Collection(seed, 30, 4, distribution) for seed in (1, 1, 2))

    assert np.array_equal(one.queries(5), same.queries(5))
    assert not np.array_equal(one.queries(5), other.queries(5))
    assert [first for first, _ in one.chunks()] == [0]
    assert np.array_equal(next(one.chunks())[1], next(same.chunks())[1])
    assert not np.array_equal(next(one.chunks())[1][:5], one.queries(5))


def test_a_large_collection_comes_in_pieces() -> None:
    pieces = [(first, len(vectors)) for first, vectors in Collection(1, 25_000, 2).chunks()]

    assert pieces == [(0, 10_000), (10_000, 10_000), (20_000, 5_000)]


def test_pieces_or_all_at_once_give_the_same_neighbours() -> None:
    collection = Collection(5, 300, 6)
    (_, vectors), queries = next(collection.chunks()), collection.queries(300)
    whole, pieces = ExactNeighbours(queries, 7), ExactNeighbours(queries, 7)
    whole.show(0, vectors)
    for first in range(0, 300, 11):
        pieces.show(first, vectors[first : first + 11])
    by_sorting = np.argsort(((queries[:, None] - vectors[None]) ** 2).sum(axis=2), axis=1)[:, :7]

    assert np.array_equal(whole.ids, pieces.ids)
    assert np.array_equal(whole.ids, by_sorting)


def test_recall_counts_what_was_found_of_the_exact_ones() -> None:
    assert recall([1, 2, 9], {1, 2, 3}) == pytest.approx(2 / 3)
    assert recall([], {1}) == 0.0
    assert recall([3, 1, 2], {1, 2, 3}) == 1.0
