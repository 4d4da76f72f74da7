"""Monitoring by itself: the commands `escalade monitor …`."""

from __future__ import annotations

import typer

from escalade.cli.monitor import collecting, dashboards, registering, reopening, sessions

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
app.command("session-create")(sessions.session_create)
app.command("client-connect")(registering.client_connect)
app.command("service-register")(registering.service_register)
app.command("exporter-deploy")(registering.exporter_deploy)
app.command("start")(sessions.start)
app.command("status")(sessions.status)
app.command("stop")(sessions.stop)
app.command("archive")(sessions.archive)
app.command("delete")(sessions.delete)
app.command("client-remove")(registering.client_remove)
app.command("service-remove")(registering.service_remove)
app.command("exporter-remove")(registering.exporter_remove)
app.command("collect")(collecting.collect)
app.command("open")(reopening.open_)
app.command("dashboards")(dashboards.dashboards)
app.command("rules")(dashboards.rules)
