"""What hours cost; imports no numerical library, for configurations name prices too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Prices:
    """What an hour costs, by the partition's name."""

    currency: str = ""
    node_hour: Mapping[str, float] = field(default_factory=dict)
    gpu_hour: Mapping[str, float] = field(default_factory=dict)
