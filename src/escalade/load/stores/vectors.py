"""Collections of vectors: drawn from a seed, and the exact neighbours of queries among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

DISTRIBUTIONS = ("normal", "uniform", "clustered")
DISTANCES = ("l2", "cosine", "inner_product")
CHUNK = 10_000
_CENTRES, _SPREAD = 100, 0.3
_QUERIES_AT_ONCE = 256
_COLLECTION, _QUERIES, _MIDDLES = range(3)


@dataclass(frozen=True)
class Collection:
    """A collection that is the same wherever it is drawn.

    Parameters
    ----------
    seed
        Of the cell.
    vectors
        How many; their ids count from 0.
    dimensions
        Of each.
    distribution
        "normal" (each coordinate standard normal), "uniform" (each in [0, 1)) or "clustered"
        (around 100 normal centres, with a standard deviation of 0.3).
    """

    seed: int
    vectors: int
    dimensions: int
    distribution: str = "normal"

    def chunks(self) -> Iterator[tuple[int, Vectors]]:
        """Give the collection piece by piece, each with the id of its first vector."""
        for first in range(0, self.vectors, CHUNK):
            count = min(CHUNK, self.vectors - first)
            yield first, self._draw(count, _COLLECTION, first // CHUNK)

    def queries(self, count: int) -> Vectors:
        """Give queries of the same distribution that are not in the collection."""
        return self._draw(count, _QUERIES, 0)

    def _draw(self, count: int, what: int, number: int) -> Vectors:
        rng = np.random.default_rng((self.seed, what, number))
        shape = (count, self.dimensions)
        if self.distribution == "uniform":
            return rng.random(shape, dtype=np.float32)
        drawn = rng.standard_normal(shape, dtype=np.float32)
        if self.distribution == "normal":
            return drawn
        middles = np.random.default_rng((self.seed, _MIDDLES))
        centres = middles.standard_normal((_CENTRES, self.dimensions), dtype=np.float32)
        around: Vectors = centres[rng.integers(_CENTRES, size=count)] + np.float32(_SPREAD) * drawn
        return around


class ExactNeighbours:
    """The nearest vectors of each query, among all that were shown.

    Parameters
    ----------
    queries
        One row each.
    k
        How many neighbours are kept.
    distance
        "l2", "cosine" or "inner_product" (the largest is the nearest).
    """

    def __init__(self, queries: Vectors, k: int, distance: str = "l2") -> None:
        self._queries = queries.astype(np.float64)
        self._k = k
        self._distance = distance
        self.ids: Ids = np.empty((len(queries), 0), dtype=np.int64)
        self._far = np.empty((len(queries), 0))

    def show(self, first: int, vectors: Vectors) -> None:
        """Take a piece of the collection into account; `first` is the id of its first vector."""
        several = vectors.astype(np.float64)
        parts = [
            self._merged(start, several, first)
            for start in range(0, len(self._queries), _QUERIES_AT_ONCE)
        ]
        self.ids = np.concatenate([ids for ids, _ in parts])
        self._far = np.concatenate([far for _, far in parts])

    def _merged(
        self, start: int, vectors: npt.NDArray[np.float64], first: int
    ) -> tuple[Ids, npt.NDArray[np.float64]]:
        rows = slice(start, start + _QUERIES_AT_ONCE)
        distances = _distances(self._queries[rows], vectors, self._distance)
        far = np.concatenate([self._far[rows], distances], axis=1)
        new = np.broadcast_to(np.arange(first, first + len(vectors)), distances.shape)
        ids = np.concatenate([self.ids[rows], new], axis=1)
        if far.shape[1] > self._k:
            near = np.argpartition(far, self._k - 1, axis=1)[:, : self._k]
            far, ids = np.take_along_axis(far, near, 1), np.take_along_axis(ids, near, 1)
        order = np.lexsort((ids, far), axis=1)
        return np.take_along_axis(ids, order, 1), np.take_along_axis(far, order, 1)


def recall(found: list[int], neighbours: set[int]) -> float:
    """Give the share of the exact neighbours that are among those found.

    Parameters
    ----------
    found
        Ids that the service gave.
    neighbours
        Ids of the exact neighbours, k of them, at least one.
    """
    return len(neighbours & set(found)) / len(neighbours)


def _distances(
    queries: npt.NDArray[np.float64], vectors: npt.NDArray[np.float64], distance: str
) -> npt.NDArray[np.float64]:
    """Give what orders as the distances do: the smallest is the nearest."""
    products = queries @ vectors.T
    if distance == "inner_product":
        return -products
    if distance == "cosine":
        lengths = np.linalg.norm(vectors, axis=1)
        return -products / np.where(lengths > 0, lengths, np.inf)
    squares: npt.NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors)
    return squares[None, :] - 2 * products
