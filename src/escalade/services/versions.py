"""Versions of services: where they are read, and which ones a range covers."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, model_validator

from escalade.runtime.toolbox import look
from escalade.services.validation import Section

_PRINTED_WITHIN_SECONDS = 30.0


class VersionSource(Section):
    """Where the version of the service is read; exactly one of the three."""

    distribution: str | None = None
    """Python distribution whose installed version counts."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Command that prints it; the first number with dots in its output counts."""
    tool: str | None = None
    """Tool of Escalade that says it."""

    @model_validator(mode="after")
    def _one(self) -> VersionSource:
        if [self.distribution, self.command, self.tool].count(None) != 2:
            raise ValueError("expected either a distribution, a command or a tool")
        return self

    def installed(self) -> str | None:
        """Give the version that is installed here; None when it can't be had."""
        if self.tool is not None:
            found, _ = look(self.tool)
            return found.version if found else None
        if self.distribution is None:
            return self._printed()
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def _printed(self) -> str | None:
        argv = [word.replace("{python}", sys.executable) for word in self.command or ()]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=_PRINTED_WITHIN_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
        return found.group() if found else None


def _readable(versions: str) -> str:
    try:
        SpecifierSet(versions)
    except InvalidSpecifier:
        raise ValueError("expected versions as in '>=2026.10,<2027'") from None
    return versions


Versions = Annotated[str, AfterValidator(_readable)]
"""A range of versions as PEP 440 writes it; the empty one covers all."""


def covers(versions: str, version: str) -> bool:
    """Tell whether a range holds `version`; one that can't be read is only in the empty range."""
    try:
        return SpecifierSet(versions).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not versions
