"""Objects in a bucket: their keys, their sizes, their content, and which one a request is for."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from escalade.errors import InputError
from escalade.load.drawable import check_lengths
from escalade.load.lengths import draw_lengths

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 100_000_000
_MOST_OBJECTS = 1_000_000
_BLOCK = 1 << 20
Operation = Literal["get", "put"]


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, as the workload's parameters describe it.

    The fields are those of the workload `s3`; see the head of its file.
    """

    bucket: str
    region: str
    prefix: str
    create_bucket: bool
    objects: int
    object_bytes: int | Mapping[str, Any] = field(hash=False)
    get_share: float

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> ObjectStore:
        """Read it from the workload's parameters.

        Raises
        ------
        InputError
            Naming the parameter, its value, and what was expected.
        """
        objects = parameters.get("objects", 100)
        if not isinstance(objects, int) or not 1 <= objects <= _MOST_OBJECTS:
            raise _refused("objects", objects, f"a whole number from 1 to {_MOST_OBJECTS}")
        share = parameters.get("get_share", 0.8)
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise _refused("get_share", share, "a number from 0 to 1")
        sizes = parameters.get("object_bytes", 65_536)
        try:
            check_lengths(sizes, MOST_BYTES)
        except (ValueError, TypeError, KeyError) as error:
            raise _refused(
                "object_bytes", sizes, f"bytes or how they are drawn ({error})"
            ) from None
        texts = {"bucket": "escalade", "region": "us-east-1", "prefix": "escalade/"}
        given = {name: str(parameters.get(name, usual)) for name, usual in texts.items()}
        if not given["bucket"] or "/" in given["bucket"]:
            raise _refused("bucket", given["bucket"], "the name of a bucket")
        create = parameters.get("create_bucket", True) is True
        return cls(
            create_bucket=create, objects=objects, object_bytes=sizes, get_share=share, **given
        )

    def sizes(self, seed: int) -> list[int]:
        """Draw the sizes of the prepared objects, in bytes: 1 at least, for a first byte to come."""
        rng = np.random.default_rng((seed, 0))
        sizes: list[int] = np.maximum(
            1, draw_lengths(self.object_bytes, self.objects, rng)
        ).tolist()
        return sizes

    def path(self, operation: Operation, number: int) -> str:
        """Give the path of an object: those that are put are others than those that are got."""
        return f"/{self.bucket}/{self.prefix}{operation}/{number:07}"


@dataclass(frozen=True)
class Draws:
    """Which object each request is for: the same for the same seed.

    Parameters
    ----------
    store
        The bucket.
    seed
        That the objects were prepared with.
    """

    store: ObjectStore
    seed: int

    def of(self, payload_id: int) -> tuple[Operation, int, int]:
        """Give operation, number of the object, and for a put its size in bytes."""
        draw = random.Random((self.seed << 64) | payload_id)
        got = draw.random() < self.store.get_share
        number = draw.randrange(self.store.objects)
        if got:
            return "get", number, 0
        rng = np.random.default_rng((self.seed, 1, payload_id))
        return "put", number, int(draw_lengths(self.store.object_bytes, 1, rng)[0])


class Content:
    """Bytes that no store can compress: pieces of a seeded block.

    Parameters
    ----------
    seed
        Another seed gives other bytes.
    """

    def __init__(self, seed: int) -> None:
        self._block = np.random.default_rng((seed, 2)).bytes(_BLOCK)

    def bytes(self, number: int, size: int) -> bytes:
        """Give the content of an object."""
        start = number * 8191 % _BLOCK
        whole = self._block[start:] + self._block * (size // _BLOCK + 1)
        return whole[:size] if size > _BLOCK - start else self._block[start : start + size]


def _refused(name: str, value: object, expected: str) -> InputError:
    return InputError(f"Parameter {name} of the workload is {value!r}; expected {expected}.")
