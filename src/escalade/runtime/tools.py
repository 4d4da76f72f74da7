"""The programs that Escalade runs but does not ship, and what else a machine has to offer."""

from __future__ import annotations

from escalade.runtime.doctor import Row, report
from escalade.runtime.toolbox import (
    FOLDER_VARIABLE,
    NAMES,
    ON_DEMAND,
    Tool,
    ensure,
    find,
    tools_folder,
)

__all__ = [
    "FOLDER_VARIABLE",
    "NAMES",
    "ON_DEMAND",
    "Row",
    "Tool",
    "ensure",
    "find",
    "report",
    "tools_folder",
]
