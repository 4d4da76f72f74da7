"""The first process of a host: prepares its mount namespace, then waits for the end of its input.

Everything on the host ends with it, since it is process 1 of a PID namespace. Runs
as `python -I -S init.py NAME FOLDER`, inside the new namespaces.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path


def main(name: str, folder: Path) -> None:
    """Become host `name` of the cluster in `folder`."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans vanish without being waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own = folder / "hosts" / name
    (own / "boot_id").write_text(f"{uuid.uuid4()}\n", encoding="ascii")
    socket.sethostname(name)
    bind(folder / "hosts.txt", "/etc/hosts")
    if Path("/etc/slurm").is_dir():  # else programs are told where to look
        bind(folder / "etc", "/etc/slurm")
    bind(own / "boot_id", "/proc/sys/kernel/random/boot_id")
    bind(own / "local", str(folder / "local"))
    print("ready", flush=True)  # noqa: T201 - the one who started it waits for this
    sys.stdin.read()


def bind(source: Path, target: str) -> None:
    """Lay `source` over `target`, for this host only."""
    subprocess.run(["mount", "--bind", str(source), target], check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
