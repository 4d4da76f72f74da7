"""Monitoring by itself: the commands `escalade monitor …`."""

from __future__ import annotations

import typer

from escalade.cli.lazy import Lazy, lazy_group

COMMANDS = {
    "session-create": Lazy(
        "escalade.cli.monitor.sessions:session_create", "Make a session; nothing is started."
    ),
    "client-connect": Lazy(
        "escalade.cli.monitor.registering:client_connect",
        "Connect a client, with the exporters of its node; also while Prometheus runs.",
    ),
    "service-register": Lazy(
        "escalade.cli.monitor.registering:service_register",
        "Register the /metrics page of a service; also while Prometheus runs.",
    ),
    "exporter-deploy": Lazy(
        "escalade.cli.monitor.registering:exporter_deploy",
        "Start an exporter with the session: it ends with it, and with the job it is in.",
    ),
    "start": Lazy(
        "escalade.cli.monitor.sessions:start",
        "Start Prometheus: here, or as a Slurm job; on the data of before, where there are some.",
    ),
    "status": Lazy(
        "escalade.cli.monitor.sessions:status",
        "Say how a session is: its job, Prometheus, every target; exit code 3 when it is dead.",
    ),
    "stop": Lazy(
        "escalade.cli.monitor.sessions:stop",
        "End Prometheus and the session's exporters; its data stay.",
    ),
    "archive": Lazy(
        "escalade.cli.monitor.sessions:archive",
        "Write all data of a session into one file, for `escalade monitor open`.",
    ),
    "delete": Lazy("escalade.cli.monitor.sessions:delete", "Remove a session with all its data."),
    "client-remove": Lazy(
        "escalade.cli.monitor.registering:client_remove",
        "Take a client away, with its services and exporters.",
    ),
    "service-remove": Lazy(
        "escalade.cli.monitor.registering:service_remove", "Take a service away."
    ),
    "exporter-remove": Lazy(
        "escalade.cli.monitor.registering:exporter_remove",
        "Take an exporter away, and end it where the session started it.",
    ),
    "collect": Lazy(
        "escalade.cli.monitor.collecting:collect",
        "Write figures, raw samples and coverage of a window of time into a folder.",
    ),
    "serve": Lazy(
        "escalade.cli.monitor.serving:serve",
        "Serve the operations on sessions over HTTP, until Ctrl-C or SIGTERM; sessions go on.",
    ),
    "open": Lazy(
        "escalade.cli.monitor.reopening:open_",
        "Serve archived Prometheus data again, until Ctrl-C.",
    ),
    "dashboards": Lazy(
        "escalade.cli.monitor.dashboards:dashboards",
        "Write dashboards of node, GPU, service and campaign for Grafana, and how it finds them.",
    ),
    "rules": Lazy(
        "escalade.cli.monitor.dashboards:rules",
        "Write the alerting rules of Prometheus: targets, VRAM, queue, rate, fragmentation, caches.",
    ),
}
app = typer.Typer(
    cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def monitor() -> None:
    """Prometheus by itself: windows of time, archives, dashboards, alerts."""
