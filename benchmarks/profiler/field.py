"""Nodes that are apart: network namespaces that can be cut off, with agents in them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING, Self

from profiling import Child, Rig, Wire, until

if TYPE_CHECKING:
    from pathlib import Path

    from gpus import Machine

NODES = 4
_NET = "10.213.7"
_BRIDGE = "escprof0"


class Field:
    """A head, and four nodes.

    Parameters
    ----------
    folder
        Of all that they keep.
    machine
        The GPUs that every node has.
    """

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.machine = machine
        self.rig = Rig(folder, freq=100, options=("--enable-bandwidth", "--enable-nvlink"))
        self.names = [f"node{number}" for number in range(NODES)]
        self._wires: dict[str, Wire] = {}
        self._apart = os.geteuid() == 0 and _can_part()
        self.agents: dict[str, Child] = {}

    @property
    def kind(self) -> str:
        """How they are apart."""
        return "network namespaces" if self._apart else "ports, behind relays that can be cut"

    def __enter__(self) -> Self:
        """Start the head and all nodes."""
        if self._apart:
            _ip("link", "add", _BRIDGE, "type", "bridge")
            _ip("addr", "add", f"{_NET}.1/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            for place, name in enumerate(self.names):
                _part(name, place)
        self.start_head()
        for name in self.names:
            self.connect(name)
        until(lambda: self.ask("status")["healthy"] == NODES)
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.rig.close()
        for wire in self._wires.values():
            wire.close()
        if self._apart:
            for name in self.names:
                _ip("netns", "del", f"esc-{name}", check=False)
            _ip("link", "del", _BRIDGE, check=False)

    @property
    def token(self) -> tuple[str, ...]:
        """The option by which commands reach the head."""
        return ("--token-file", str(self.rig.data / "token")) if self._apart else ()

    def start_head(self) -> Child:
        """Start the head, again where it was killed."""
        host = "0.0.0.0" if self._apart else "127.0.0.1"  # noqa: S104 - with a token
        child = Child(
            *("start", "--host", host, "--port", str(self.rig.port), "--http-port", "0"),
            *("--freq", str(self.rig.freq), "--data", str(self.rig.data)),
            *self.rig.options,
        )
        self.rig.children.append(child)
        child.until("The head is ready")
        return child

    def connect(self, name: str) -> Child:
        """Start the agent of a node."""
        if self._apart:
            prefix: tuple[str, ...] = ("ip", "netns", "exec", f"esc-{name}")
            head = f"{_NET}.1:{self.rig.port}"
        else:
            prefix = ()
            self._wires.setdefault(name, Wire(self.rig.port))
            head = self._wires[name].address
        child = Child(
            *("connect", head, "--name", name, "--queue", str(self.rig.queue(name))),
            *("--resilient", *self.token),
            prefix=prefix,
        )
        self.rig.children.append(child)
        self.agents[name] = child
        return child

    def cut(self, name: str) -> None:
        """Cut a node off: nothing passes, and nobody is told."""
        if self._apart:
            _ip("link", "set", f"esc-{name}", "down")
        else:
            self._wires[name].cut()

    def mend(self, name: str) -> None:
        """Join it again."""
        if self._apart:
            _ip("link", "set", f"esc-{name}", "up")
        else:
            self._wires[name].mend()

    def address_for(self, name: str) -> str:
        """Give the head as that node reaches it, from this machine."""
        return self.rig.address if self._apart else self._wires[name].address

    def ask(self, command: str, *options: str) -> dict[str, object]:
        """Run a command of the profiler, and give what it told."""
        told: dict[str, object] = self.rig.ask(command, self.rig.address, *options, *self.token)
        return told


def _can_part() -> bool:
    with contextlib.suppress(OSError):
        tried = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
        return tried.returncode == 0 and _ip("link", "show", "lo", check=False) == 0
    return False


def _part(name: str, place: int) -> None:
    space, near, far = f"esc-{name}", f"esc-{name}", f"far-{name}"
    _ip("netns", "add", space)
    _ip("link", "add", near, "type", "veth", "peer", "name", far)
    _ip("link", "set", near, "master", _BRIDGE, "up")
    _ip("link", "set", far, "netns", space)
    for words in (
        ("addr", "add", f"{_NET}.{place + 10}/24", "dev", far),
        ("link", "set", far, "up"),
        ("link", "set", "lo", "up"),
    ):
        _ip("-n", space, *words)


def _ip(*words: str, check: bool = True) -> int:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.returncode
