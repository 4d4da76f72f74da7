"""GPUs: the commands `escalade gpu …`."""

from __future__ import annotations

import typer

from escalade.cli.lazy import Lazy, lazy_group

COMMANDS = {
    "export": Lazy(
        "escalade.cli.gpu.exporting:export",
        "Serve the metrics of the GPUs that this process may use, read at each scrape, until Ctrl-C.",
    ),
    "headroom": Lazy(
        "escalade.cli.gpu.headroom:headroom",
        "Say whether each GPU keeps its headroom; exit code 1: one does not, 4: not known of one.",
    ),
    "place": Lazy(
        "escalade.cli.gpu.placing:place",
        "Say which models go on which GPUs, with a share of each kept free.",
    ),
}
app = typer.Typer(
    cls=lazy_group(COMMANDS), no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@app.callback()
def gpu() -> None:
    """GPUs of this machine: what goes on them, what is free."""
