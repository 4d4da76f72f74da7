"""The data of a head for one command: by its Prometheus where it runs, else by one for the moment."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.profiler.head.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalade.profiler.head.folder import HeadFolder


@contextlib.contextmanager
def reopened(folder: HeadFolder, say: Callable[[str], object]) -> Iterator[str]:
    """Give the URL of a Prometheus that has the data of a head.

    Raises
    ------
    InfrastructureError
        When it can't be had.
    """
    if folder.held():
        url = folder.database_url()
        if url is None:
            raise InfrastructureError(f"The head in {folder.root} does not tell its Prometheus.")
        yield url
        return
    with folder.hold():
        database = Database(folder, say)
        keeping = threading.Thread(target=database.keep, name="prometheus")
        keeping.start()
        try:
            database.await_ready()
            yield database.url
        finally:
            database.end()
            keeping.join()
