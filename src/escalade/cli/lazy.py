"""A group of commands each of which is imported when it is invoked."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Lazy:
    """Where a command is found, and what the list of commands says of it."""

    target: str
    """Module and name, as in `escalade.cli.campaigns:plan`: a function, or a typer app."""
    help: str
    """First sentence of its own help."""
    settings: Mapping[str, Any] | None = None
    """The command's `context_settings`."""

    def load(self, name: str) -> TyperCommand | TyperGroup:
        """Import the command, and give it the name that it was called by."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            group: TyperGroup = get_command(found)  # type: ignore[assignment]
            group.name = name
            return group
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name, context_settings=dict(self.settings or {}) or None)(found)
        command: TyperCommand = get_command(alone)  # type: ignore[assignment]
        return command


class _LazyGroup(TyperGroup):
    """Lists commands by what is known of them, and imports the one that runs."""

    lazy: ClassVar[Mapping[str, Lazy]]

    def __init__(self, **attributes: Any) -> None:
        listed = {name: TyperCommand(name, help=each.help) for name, each in self.lazy.items()}
        super().__init__(**{**attributes, "commands": listed})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that the words name; a wrong name fails before anything is imported."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else self.lazy[name].load(name), rest


def lazy_group(commands: Mapping[str, Lazy]) -> type[TyperGroup]:
    """Give the class of a typer app that has these commands, in this order."""
    return type("LazyGroup", (_LazyGroup,), {"lazy": commands})
