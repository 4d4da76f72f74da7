"""Reading profile.parquet: fine readings of a cell's GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.files import read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_COLUMNS = ("frame_id", "timestamp", "gpu_id", "gpu_util", "gpu_memory_used", "power")


def read_profile(path: Path) -> pd.DataFrame | None:
    """Read the fine readings; None where there are none.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    return read_table(path, "profile of a cell", _COLUMNS) if path.exists() else None
