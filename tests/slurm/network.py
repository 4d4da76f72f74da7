"""Hosts of the cluster, each with namespaces of its own, joined by a bridge on the login host.

A host has its own name, address, process table, boot id and `local` folder; the rest
of the file system is shared, as on a cluster. Nothing of it is seen outside, and it
all ends with the process that started it. Needs root and iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurm.configuration import Site

LOGIN = "login"
_NETWORK = "10.77.0"
_SECOND_NETWORK = "10.88.0"
_HERE = Path(__file__).parent
_PYTHON = (sys.executable, "-I", "-S")
_UNSHARE = (
    "unshare",
    *("--net", "--uts", "--mount", "--propagation=private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)


def namespaces_allowed() -> bool:
    """Tell whether hosts with namespaces of their own can be made here."""
    if os.geteuid() != 0 or any(
        shutil.which(name) is None for name in ("unshare", "nsenter", "ip")
    ):
        return False
    probe = subprocess.run([*_UNSHARE, "true"], capture_output=True, timeout=30, check=False)
    return probe.returncode == 0


class Host:
    """One host: the process that holds its namespaces.

    Parameters
    ----------
    name
        Its host name.
    folder
        The cluster's folder, with `hosts.txt`, `etc` and `local` in it.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        (folder / "hosts" / name / "local").mkdir(parents=True)
        self._process = subprocess.Popen(
            [*_UNSHARE, *_PYTHON, str(_HERE / "init.py"), name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._process.pid

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command to run it on this host."""
        return (*_PYTHON, str(_HERE / "enter.py"), str(self.pid))

    def await_ready(self) -> None:
        """Wait until the host can be entered."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"host {self.name} did not start: see the error above")

    def stop(self) -> None:
        """End every process of the host."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Hosts:
    """The login host and the nodes, joined by a network.

    Parameters
    ----------
    folder
        The cluster's folder, with `etc` in it.
    site
        What kind of site it is.
    """

    def __init__(self, folder: Path, site: Site) -> None:
        self._site = site
        self._names = (LOGIN, *site.node_names)
        lines = [f"{self.address(name)} {name}" for name in self._names]
        (folder / "hosts.txt").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        (folder / "local").mkdir()
        self._hosts = {name: Host(name, folder) for name in self._names}
        try:
            for host in self._hosts.values():
                host.await_ready()
            self._join()
        except BaseException:
            self.stop()
            raise

    ports: ClassVar[Mapping[str, int]] = {"controller_port": 6817, "accounting_port": 6819}
    """Where slurmctld and slurmdbd listen: at the usual ports."""

    def prefix(self, host: str) -> tuple[str, ...]:
        """Give what to put before a command to run it on a host."""
        return self._hosts[host].prefix

    def address(self, host: str) -> str:
        """Give the address of a host."""
        number = self._names.index(host)
        return f"{_NETWORK}.{10 + number if number else 1}"

    def controller(self) -> str:
        """Say where slurmctld is, as slurm.conf wants it."""
        return f"{LOGIN}({self.address(LOGIN)})"

    def node(self, name: str) -> str:
        """Say where a node is, as slurm.conf wants it."""
        return f"NodeAddr={self.address(name)}"

    def stop(self) -> None:
        """End every process on every host."""
        for host in self._hosts.values():
            host.stop()

    def _join(self) -> None:
        """Give each host its address on a bridge in the network namespace of the first."""
        login, *nodes = self._hosts.values()
        pairs = [
            f"link add v{number} type veth peer name eth0 netns /proc/{node.pid}/ns/net"
            for number, node in enumerate(nodes, 1)
        ]
        # Not from within, where the other hosts' processes are not to be seen.
        outside = ("nsenter", f"--net=/proc/{login.pid}/ns/net")
        _ip(
            outside,
            "link set lo up",
            "link add br0 type bridge",
            f"addr add {self.address(LOGIN)}/24 dev br0",
            "link set br0 up",
            *pairs,
            *(f"link set v{number} master br0 up" for number in range(1, len(nodes) + 1)),
        )
        for number, node in enumerate(nodes, 1):
            _ip(
                node.prefix,
                "link set lo up",
                *(_second(number) if self._site.second_network else ()),
                f"addr add {self.address(node.name)}/24 dev eth0",
                "link set eth0 up",
            )


def _second(number: int) -> list[str]:
    """Give the commands for an interface that is up and leads nowhere."""
    return [
        "link add ib0 type veth peer name ib0-end",
        f"addr add {_SECOND_NETWORK}.{10 + number}/24 dev ib0",
        "link set ib0 up",
        "link set ib0-end up",
    ]


def _ip(prefix: Sequence[str], *commands: str) -> None:
    subprocess.run(
        [*prefix, "ip", "-batch", "-"],
        input="\n".join(commands),
        text=True,
        timeout=30,
        check=True,
    )
