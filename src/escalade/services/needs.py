"""What has to be installed for a recipe."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Literal

from escalade.errors import ToolMissingError
from escalade.runtime import tools
from escalade.services.validation import Section


class Needs(Section):
    """What has to be installed."""

    modules: tuple[str, ...] = ()
    """Python modules, by the name they are imported with."""
    programs: tuple[str, ...] = ()
    """Programs on PATH."""
    tools: tuple[Literal["postgres"], ...] = ()
    """Programs that Escalade finds, or fetches without root before the campaign begins; the
    command has their paths as placeholders of the same names."""
    install: str = ""
    """What to do when something is missing, as in "pip install xllamacpp"."""

    def check(self, recipe: str, *, elsewhere: bool) -> None:
        """Insist on it; see `Recipe.check_needs`."""
        missing = [f"Python module {name}" for name in self.modules if not _importable(name)]
        if not elsewhere:
            missing += [f"program {name}" for name in self.programs if not shutil.which(name)]
        if missing:
            raise ToolMissingError(
                f"Recipe {recipe} needs what is not installed: {', '.join(missing)}. "
                f"{self.install or 'Install it'}, then start again."
            )

    def paths(self) -> dict[str, str]:
        """Give the path of every tool.

        Raises
        ------
        ToolMissingError
            When one was not fetched yet.
        """
        return {name: str(tools.find(name).path) for name in self.tools}


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
