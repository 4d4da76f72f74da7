"""The command truth-server: a service with known times, to try an instrument on."""

from __future__ import annotations

import typer  # noqa: TC002 - typer itself reads the annotations

from escalade.errors import InfrastructureError
from escalade.load import truth_server as server

SETTINGS = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Its options, and their help, are the server's own."""


def truth_server(context: typer.Context) -> None:
    """Serve requests that take known times, until Ctrl-C; --help lists what it can do."""
    try:
        server.main(context.args)
    except OSError as error:
        raise InfrastructureError(f"The truth server can't listen or write: {error}.") from error
