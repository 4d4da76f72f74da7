"""`escalade profile start`: the head."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from escalade.cli.monitor.options import say
from escalade.cli.profile.options import DATA, HTTP_PORT, PORT, Data


def start(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where nodes send to; a free one when 0.")
    ] = PORT,
    http_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Another port with the same HTTP API; none when 0."),
    ] = HTTP_PORT,
    freq: Annotated[
        int, typer.Option(help="Milliseconds between two readings, 50 to 600,000.")
    ] = 250,
    enable_bandwidth: Annotated[
        bool, typer.Option("--enable-bandwidth", help="Also read bytes over PCIe.")
    ] = False,
    enable_nvlink: Annotated[
        bool, typer.Option("--enable-nvlink", help="Also read bytes over NVLink.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            help="Where to listen; on 127.0.0.1 no token is needed, and no other node sends."
        ),
    ] = "0.0.0.0",  # noqa: S104 - other nodes send; a token is wanted
    data: Data = DATA,
) -> None:
    """Start the head: it takes what nodes send, and keeps it.

    It runs until Ctrl-C or SIGTERM; what it has stays in its folder, and a head that is started
    there again goes on with the same data and sessions. Exit code 2 when another head works there,
    3 when a port is taken or Prometheus can't be started.
    """
    from escalade.profiler.head.folder import HeadFolder, HeadSettings  # noqa: PLC0415
    from escalade.profiler.head.main import run  # noqa: PLC0415
    from escalade.runtime.endpoints import node_address  # noqa: PLC0415

    folder, settings = HeadFolder(data), HeadSettings(freq, enable_bandwidth, enable_nvlink)

    def began(address: str, url: str | None) -> None:
        reached, _, number = address.rpartition(":")
        if reached in {"0.0.0.0", "[::]"}:  # noqa: S104 - as above
            reached = node_address()
        running = [session.name for session in folder.sessions.running()]
        say(
            f"The head is ready: {reached}:{number}, readings every {freq} ms, kept in {folder.root}"
        )
        if url is not None:
            say(f"HTTP API: {url}/docs")
        if running:
            say(f"Sessions that go on: {', '.join(running)}")
        token = "" if reached == "127.0.0.1" else f" --token-file {folder.token_file}"
        say(f"On each node:  escalade profile connect {reached}:{number}{token}")

    def tell(text: str) -> None:
        say(f"{time.strftime('%H:%M:%S')} {text}")

    run(
        folder,
        settings,
        host=host,
        port=port,
        http_port=http_port or None,
        say=tell,
        began=began,
    )
    say("Ended; data and sessions are kept.")
