"""Models in a limited memory: the commands `escalade models …`."""

from __future__ import annotations

import typer

from escalade.cli.lazy import Lazy, lazy_group

COMMANDS = {
    "plan": Lazy(
        "escalade.cli.models.planning:plan",
        "Say which models would be loaded into a profile's memory, and where it ends.",
    ),
    "load": Lazy(
        "escalade.cli.models.loading:load",
        "Load models until the next would spill, measure each, and hold them until Ctrl-C.",
    ),
    "status": Lazy("escalade.cli.models.standing:status", "Say what a running loader holds."),
    "unload": Lazy(
        "escalade.cli.models.standing:unload", "Have a running loader give one model back."
    ),
}
app = typer.Typer(
    cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def models() -> None:
    """Models in a limited memory: plan, load, measure, give back."""
