"""The command truth-server: a service with known times, to try an instrument on."""

from __future__ import annotations

import typer  # noqa: TC002 - typer itself reads the annotations

from escalade.errors import InfrastructureError
from escalade.load import truth_server as server


def truth_server(context: typer.Context) -> None:
    """Serve requests that take known times, until Ctrl-C; --help lists what it can do."""
    try:
        server.main(context.args)
    except OSError as error:
        raise InfrastructureError(f"The truth server can't listen or write: {error}.") from error
