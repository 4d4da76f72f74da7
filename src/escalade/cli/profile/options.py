"""Options that several commands of `escalade profile` have, and how they speak to a head."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from escalade.errors import InputError

if TYPE_CHECKING:
    from escalade.profiler.client import ProfilerClient

PORT, HTTP_PORT = 8090, 8091
DATA = Path("escalade-profiler")
VARIABLE = "ESCALADE_PROFILE_TOKEN"
_ADDRESS = re.compile(r"(?:http://)?(\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?")

Head = Annotated[
    str, typer.Argument(metavar="HEAD", help="HOST:PORT of the head, either of its ports.")
]
Data = Annotated[Path, typer.Option("--data", help="Folder of the head.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the token of the head: `token` in its folder. Without it the environment "
        f"variable {VARIABLE} counts, and then the folder {DATA} here."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def address_of(head: str) -> str:
    """Give `host:port` of what was given as HEAD.

    Raises
    ------
    InputError
        When it is none.
    """
    found = _ADDRESS.fullmatch(head.strip())
    port = int(found[2] or PORT) if found else 0
    if found is None or not 0 < port < 1 << 16:
        raise InputError(
            f"HEAD {head!r}: expected HOST:PORT, as in node1:{PORT} or 10.0.0.7:{PORT}."
        )
    return f"{found[1]}:{port}"


def token_file_of(given: Path | None) -> Path | None:
    """Give the file of the token: the given one, or that of a head that was started here."""
    if given is not None:
        return given
    usual = DATA / "token"
    return usual if VARIABLE not in os.environ and usual.is_file() else None


def client_of(head: str, token_file: Path | None) -> ProfilerClient:
    """Give a client of a head; its libraries are loaded by now only, so that --help is quick."""
    from escalade.monitoring.http.tokens import checked, read_token  # noqa: PLC0415
    from escalade.profiler.client import ProfilerClient  # noqa: PLC0415

    file = token_file_of(token_file)
    token = os.environ.get(VARIABLE) if file is None else read_token(file)
    return ProfilerClient(
        address_of(head), None if token is None else checked(token, VARIABLE), token_file=file
    )
