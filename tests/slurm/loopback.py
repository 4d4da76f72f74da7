"""All nodes on this machine's loopback, told apart by port: for users who are not root."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESS = "127.0.0.1"
_PORTS = range(15000, 30000)  # below those that the kernel gives to outgoing connections


class Loopback:
    """The login host and the nodes, all of them this machine.

    Parameters
    ----------
    configuration
        Path of slurm.conf; it also marks the cluster's processes.
    nodes
        Names of the nodes.
    """

    def __init__(self, configuration: Path, nodes: Sequence[str]) -> None:
        self._name = socket.gethostname().split(".", maxsplit=1)[0]
        self._mark = f"SLURM_CONF={configuration}"
        controller, accounting, *ports = _free_ports(2 + len(nodes))
        self.ports = {"controller_port": controller, "accounting_port": accounting}
        self._ports = dict(zip(nodes, ports, strict=True))
        self._warden = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).parent / "warden.py"), self._mark],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def prefix(self, host: str) -> tuple[str, ...]:  # noqa: ARG002 - all are one
        """Give what to put before a command to run it on a host."""
        return ("env", self._mark)

    def address(self, host: str) -> str:  # noqa: ARG002 - as `Hosts` has it
        """Give the address of a host."""
        return _ADDRESS

    def controller(self) -> str:
        """Say where slurmctld is, as slurm.conf wants it."""
        return f"{self._name}({_ADDRESS})"

    def node(self, name: str) -> str:
        """Say where a node is, as slurm.conf wants it."""
        return f"NodeHostname={self._name} NodeAddr={_ADDRESS} Port={self._ports[name]}"

    def stop(self) -> None:
        """End every process of the cluster."""
        assert self._warden.stdin is not None
        self._warden.stdin.close()
        self._warden.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    """Find ports that nobody uses."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        try:
            socket.create_server((_ADDRESS, port)).close()
        except OSError:
            continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports in {_PORTS}")
