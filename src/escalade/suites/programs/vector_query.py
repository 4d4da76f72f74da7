"""Seconds of an exact search for the nearest vectors of a query, with numpy."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import numpy as np

from escalade.load.stores.vectors import DISTANCES, Collection, ExactNeighbours, Ids, Vectors
from escalade.suites.programs import pacing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

SEED = 1
QUERIES = 256


def parser(program: str, what: str) -> argparse.ArgumentParser:
    """Give a parser that knows the collection."""
    made = pacing.parser(program, what)
    made.add_argument("--vectors", type=int, default=10_000, help="in the collection")
    made.add_argument("--dimensions", type=int, default=128, help="of each")
    made.add_argument("--k", type=int, default=10, help="neighbours of a query")
    made.add_argument("--distance", default="l2", choices=DISTANCES)
    return made


def main() -> None:
    """Print the time of each query, in s."""
    options = parser("vector_query", "Search a collection of vectors exactly.").parse_args()
    collection = Collection(SEED, options.vectors, options.dimensions)
    vectors = np.concatenate([piece for _, piece in collection.chunks()])
    queries = collection.queries(QUERIES)
    search = searching(vectors, min(options.k, options.vectors), options.distance)
    exact = ExactNeighbours(queries[:1], min(options.k, options.vectors), options.distance)
    exact.show(0, vectors)
    if set(search(queries[0]).tolist()) != set(exact.ids[0].tolist()):
        pacing.fail("the search does not find the nearest vectors")
    turns = itertools.cycle(queries)

    def once() -> float:
        query = next(turns)
        began = time.perf_counter()
        search(query)
        return time.perf_counter() - began

    pacing.measure(options, once)


def searching(vectors: Vectors, k: int, distance: str) -> Callable[[Vectors], Ids]:
    """Give a search for the ids of the k nearest vectors; lengths are computed beforehand."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    lengths = np.sqrt(squares)

    def search(query: Vectors) -> Ids:
        products = vectors @ query
        if distance == "l2":
            far = squares - 2 * products
        elif distance == "cosine":
            far = -products / np.where(lengths > 0, lengths, np.inf)
        else:
            far = -products
        near = np.argpartition(far, k - 1)[:k]
        found: Ids = near[np.argsort(far[near], kind="stable")]
        return found

    return search


if __name__ == "__main__":
    pacing.run(main)
