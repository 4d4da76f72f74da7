"""Monitoring by itself: the commands `escalade monitor …`."""

from __future__ import annotations

import typer

from escalade.cli.monitor import collecting, dashboards, reopening

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.command("collect")(collecting.collect)
app.command("open")(reopening.open_)
app.command("dashboards")(dashboards.dashboards)
app.command("rules")(dashboards.rules)
