"""The process of a head: Prometheus, the two ports, and an eye on the nodes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.monitoring.http import server
from escalade.monitoring.http.tokens import read_token
from escalade.profiler.head.app import make_app
from escalade.profiler.head.database import Database
from escalade.profiler.head.desk import HeadDesk
from escalade.profiler.head.ingest import Ingest
from escalade.profiler.head.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.profiler.head.folder import HeadFolder, HeadSettings

_LOOK_SECONDS = 5.0


def run(
    folder: HeadFolder,
    settings: HeadSettings,
    *,
    host: str,
    port: int,
    http_port: int | None,
    say: Callable[[str], object],
    began: Callable[[str, str | None], object],
) -> None:
    """Work until SIGTERM or Ctrl-C.

    Parameters
    ----------
    folder
        Where everything is kept.
    settings
        What nodes read, how often.
    host, port
        Where nodes send to, and where the commands ask; a free port when 0.
    http_port
        Another port with the same operations; None: there is none, 0: a free one.
    say
        Gets one line for everything that happens.
    began
        Is told, when all is ready, where: `host:port`, and the URL of the other port.

    Raises
    ------
    ConflictError
        When another head works in the folder.
    InputError
        When `host` is no address of this machine.
    InfrastructureError
        When a port is taken, Prometheus can't be started, or the folder can't be written.
    """
    folder.make()
    with folder.hold():
        sockets = [server.bind(host, port, guarded=True)]
        if http_port is not None:
            sockets.append(server.bind(host, http_port, guarded=True))
        urls = [server.url_of(each) for each in sockets]
        inside = server.on_loopback(sockets[0].getsockname()[0])
        token = None if inside else read_token(folder.token_file)
        database = Database(folder, say)
        nodes = Nodes(folder.root / "nodes.json", say)
        keeping = threading.Thread(target=database.keep, name="prometheus")
        keeping.start()
        ended = threading.Event()
        looking = threading.Thread(target=_look, args=(nodes, ended, say), name="nodes")
        try:
            database.await_ready()
            folder.tell(settings, urls[0].removeprefix("http://"))
            looking.start()
            began(urls[0].removeprefix("http://"), urls[1] if len(urls) > 1 else None)
            desk = HeadDesk(folder, settings, database, nodes)
            app = make_app(desk, Ingest(database, nodes), token, loopback_only=inside)
            server.serve(app, *sockets)
        finally:
            ended.set()
            database.end()
            keeping.join()


def _look(nodes: Nodes, ended: threading.Event, say: Callable[[str], object]) -> None:
    """Notice nodes that fall silent; a full disk is no reason to stop looking."""
    told = ""
    while not ended.wait(_LOOK_SECONDS):
        try:
            nodes.look()
        except InfrastructureError as error:
            if not told:
                say(str(error))
            told = str(error)
        else:
            told = ""
