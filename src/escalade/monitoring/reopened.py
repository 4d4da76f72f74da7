"""An archive of Prometheus data, served again by a Prometheus that scrapes nothing.

It works on a copy among the machine's temporary files, which goes with it: the archive
stays as it was, whatever that Prometheus does with its data.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import yaml

from escalade.errors import InfrastructureError
from escalade.files import tail, write_text
from escalade.folders import passing
from escalade.monitoring.archive import CONFIGURATION, open_archive
from escalade.monitoring.client import PrometheusClient
from escalade.runtime import tools
from escalade.runtime.endpoints import free_port
from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_USUAL = "15s"


@dataclass(frozen=True, slots=True)
class Reopened:
    """A Prometheus that serves an archive.

    Parameters
    ----------
    url
        Base URL of its HTTP API and page.
    folder
        Of its copy of the data, and its log.
    process
        Its process.
    """

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait until it ends, which it does not do by itself.

        Raises
        ------
        InfrastructureError
            When it has ended.
        """
        self.process.wait()
        raise _ended(self.process, self.folder)


@contextlib.contextmanager
def reopened(archive: Path, port: int = 0) -> Iterator[Reopened]:
    """Serve an archive until the block ends.

    Parameters
    ----------
    archive
        As `manager.archive` wrote it.
    port
        On 127.0.0.1; a free one when 0.

    Raises
    ------
    InputError
        When the archive is missing or damaged.
    InfrastructureError
        When it can't be unpacked, or Prometheus does not start: the port may be taken.
    ToolMissingError
        When there is no Prometheus on this machine.
    """
    binary = str(tools.find("prometheus").path)
    with passing("reopened") as place:
        folder = place / "archive"
        data = open_archive(archive, folder)
        config = place / CONFIGURATION
        write_text(config, _without_targets(folder / CONFIGURATION))
        address = f"{HOST}:{port or free_port(HOST)}"
        with _log(place).open("wb") as log:
            process = subprocess.Popen(
                [binary, *_arguments(config, data, address)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: it is stopped in order
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one thread here
            )
        here = Reopened(f"http://{address}", place, process)
        try:
            _await_ready(here, data)
            yield here
        finally:
            _stop(process)


def _arguments(config: Path, data: Path, address: str) -> tuple[str, ...]:
    return (
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",  # the longest there is: nothing is old enough to go
        f"--web.listen-address={address}",
        "--query.lookback-delta=5s",  # as it was recorded, see `manager`
    )


def _without_targets(recorded: Path) -> str:
    """Give a configuration that scrapes nothing, with the interval of the recorded one."""
    try:
        content = yaml.safe_load(recorded.read_text(encoding="utf-8"))
        interval = str(content["global"]["scrape_interval"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        interval = _USUAL
    return yaml.safe_dump({"global": {"scrape_interval": interval, "scrape_timeout": interval}})


def _await_ready(here: Reopened, data: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with PrometheusClient(here.url, retries=0) as client:
        while here.process.poll() is None:
            if client.ready() and client.flags().get("storage.tsdb.path") == str(data):
                return
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"Prometheus was not ready within {_READY_SECONDS:g} s.{_said(here.folder)}"
                )
            time.sleep(_LOOK_SECONDS)
    raise _ended(here.process, here.folder)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ended(process: subprocess.Popen[bytes], folder: Path) -> InfrastructureError:
    return InfrastructureError(f"Prometheus ended with code {process.returncode}.{_said(folder)}")


def _said(folder: Path) -> str:
    lines = "\n".join(f"  {line}" for line in tail(_log(folder), 10) or ["(nothing)"])
    return f"\nThe end of what it said:\n{lines}"


def _log(folder: Path) -> Path:
    return folder / "log"
