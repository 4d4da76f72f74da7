"""A PostgreSQL of one's own for as long as this process lives, in a folder of its own.

`python -m escalade.services.postgres_server --postgres /usr/lib/…/bin/postgres --port 5432 …`

PostgreSQL refuses to run as root. Where this process is root, as in many containers,
the server runs as the user `postgres` or `nobody`, to whom the folder is given. It asks
every client for the password that is in the secret file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

UNUSABLE_INPUT = 2
SERVER_FAILED = 3
ROLE = "escalade"
_SPARE_CONNECTIONS = 20  # those that a client has left, and the server has not seen yet
_UNPRIVILEGED = ("postgres", "nobody")
# The password is random: many rounds of hashing would not make it safer, and cost every
# connection milliseconds.
_SETTINGS = {
    "unix_socket_directories": "''",
    "scram_iterations": "1",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm of a container has 64 MB
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Owner:
    """Whom the server runs as, where this process is root."""

    uid: int
    gid: int


def main(argv: Sequence[str] | None = None) -> int:
    """Make the database, serve until a signal ends the process.

    Returns
    -------
    int
        2 when an argument can't be used, 3 when PostgreSQL refuses. A line on standard
        error says why.
    """
    options = _parser().parse_args(argv)
    owner = _owner()
    data = options.data / "postgresql"
    try:
        _make(options, data, owner)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return _complain(f"the database could not be made: {said.strip()}", UNUSABLE_INPUT)
    return _serve(options, data, owner)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postgres_server", description="A PostgreSQL server.")
    add = parser.add_argument
    add("--postgres", type=Path, required=True, help="the program postgres")
    add("--data", type=Path, required=True, help="folder of its own")
    add("--secret-file", type=Path, required=True, help="file with the password")
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, required=True, help="TCP port to listen on")
    add("--connections", type=int, default=100, help="connections at once, at most")
    add("--shared-buffers", type=int, default=256, help="memory for pages, in MiB")
    add("--maintenance-memory", type=int, default=256, help="memory to build an index in, in MiB")
    return parser


def _owner() -> Owner | None:
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Owner(entry.pw_uid, entry.pw_gid)
    return Owner(65534, 65534)


def _make(options: argparse.Namespace, data: Path, owner: Owner | None) -> None:
    """Make a new database with one role, whose password is the secret."""
    shutil.rmtree(data, ignore_errors=True)
    options.data.mkdir(parents=True, exist_ok=True)
    password = options.data / "password"
    handle = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as opened:
        opened.write(options.secret_file.read_bytes())
    if owner is not None:
        for path in (options.data, password):
            os.chown(path, owner.uid, owner.gid)
    told = ["--username", ROLE, "--auth", "scram-sha-256", "--pwfile", str(password)]
    plain = ["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
    command = [str(options.postgres.with_name("initdb")), "--pgdata", str(data), *told, *plain]
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **_as(owner),
    )
    password.unlink()
    with (data / "pg_hba.conf").open("a", encoding="ascii") as opened:
        opened.write("host all all all scram-sha-256\n")
    with (data / "postgresql.conf").open("a", encoding="ascii") as opened:
        opened.writelines(f"{name} = {value}\n" for name, value in _settings(options).items())


def _settings(options: argparse.Namespace) -> dict[str, object]:
    settings: dict[str, object] = {
        **_SETTINGS,
        "listen_addresses": f"'{options.host}'",
        "port": options.port,
        "max_connections": options.connections + _SPARE_CONNECTIONS,
        "shared_buffers": f"{options.shared_buffers}MB",
        "maintenance_work_mem": f"{options.maintenance_memory}MB",
    }
    if _major(options.postgres) < 16:
        del settings["scram_iterations"]
    return settings


def _major(postgres: Path) -> int:
    said = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True)
    return int(said.stdout.rpartition(") ")[2].partition(".")[0])


def _serve(options: argparse.Namespace, data: Path, owner: Owner | None) -> int:
    """Run the server until it ends, or a signal ends it at once: its data are not kept."""
    ended = threading.Event()
    server = subprocess.Popen([str(options.postgres), "-D", str(data)], **_as(owner))

    def end(*_: object) -> None:
        ended.set()
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(signal.SIGQUIT)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    code = server.wait()
    if ended.is_set():
        return 0
    return _complain(f"PostgreSQL ended with {code}; its own lines say why", SERVER_FAILED)


def _as(owner: Owner | None) -> dict[str, Any]:
    """Give what a child is started with: as whom, and that it ends with this process."""
    became = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner else {}
    return {
        **became,
        "stdin": subprocess.DEVNULL,
        "env": _environment(),
        "cwd": "/",
        "preexec_fn": partial(die_with_parent, os.getpid()),
    }


def _environment() -> dict[str, str]:
    """Give the environment without what would speak to another PostgreSQL."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _complain(reason: str, code: int) -> int:
    sys.stderr.write(f"postgres_server: {reason}\n")
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
