"""A throw-away Slurm cluster: real daemons in a folder of their own, up in seconds.

    with Cluster(folder) as cluster:
        cluster.run("login", ["srun", "-N3", "hostname"])

In the mode "hosts" (root) every node is a host of its own: see `network.py`. In the
mode "ports" (any user) all nodes are on this machine's loopback, told apart by port.
Either way all of it ends with the process that started it.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from escalade.runtime.lifeline import die_with_parent
from slurm import configuration, network
from slurm.configuration import Place, Site
from slurm.network import LOGIN, Host

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Mode = Literal["hosts", "ports"]
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")
_FOREIGN = ("SLURM_", "SRUN_", "SBATCH_", "SALLOC_", "SLURMD_", "SQUEUE_", "SINFO_")


def missing() -> str:
    """Say why there can be no cluster here; empty when there can."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    return f"Slurm is not installed: no {', '.join(absent)}" if absent else ""


class Cluster:
    """Slurm on a login host and some nodes.

    Parameters
    ----------
    folder
        Is made and filled; keep its path short, since Unix sockets lie in it.
    site
        What kind of site it plays.
    mode
        "hosts" or "ports"; the better one that is possible here by default.
    """

    def __init__(self, folder: Path, site: Site | None = None, mode: Mode | None = None) -> None:
        self.folder = folder.resolve()
        self.site = site or Site()
        self.mode: Mode = mode or ("hosts" if network.namespaces_allowed() else "ports")
        self._hosts: dict[str, Host] = {}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return self.site.node_names

    @property
    def local(self) -> Path:
        """A folder with other content on every host, in the mode "hosts"."""
        return self.folder / "local"

    def address(self, host: str) -> str:
        """Give the address of a host within the cluster."""
        if self.mode == "ports":
            return "127.0.0.1"
        return network.address_of((LOGIN, *self.nodes).index(host))

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        """Start everything and wait until every node is idle."""
        for name in ("etc", "run", "log", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        try:
            if self.mode == "hosts":
                self._hosts = network.start_hosts((LOGIN, *self.nodes), self.folder)
            configuration.write(self.site, self._place())
            self._start_munge()
            self.start_controller()
            for node in self.nodes:
                self.start_node(node)
            self.await_nodes()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End every process of the cluster; its folder stays, with the logs."""
        if "slurmctld" in self._daemons:
            self.run(LOGIN, ["scancel", "--user", _user()], check=False)
        for name in reversed(list(self._daemons)):
            self._stop(name)
        for host in self._hosts.values():
            host.stop()
        self._hosts.clear()

    def command_prefix(self, host: str = LOGIN) -> tuple[str, ...]:
        """Give what to put before a command to run it on a host.

        The process that comes of it passes on signals and ends as the command does,
        whose own pid is another one; killing it kills the command.
        """
        clean = [f"--unset={name}" for name in os.environ if name.startswith(_FOREIGN)]
        if self.mode == "hosts":
            return (*self._hosts[host].prefix, "env", *clean)
        return ("env", *clean, f"SLURM_CONF={self.folder}/etc/slurm.conf")

    def popen(self, host: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command on a host; it ends with this process at the latest."""
        tied = {"preexec_fn": partial(die_with_parent, os.getpid())}
        return subprocess.Popen([*self.command_prefix(host), *argv], **(tied | options))

    def run(
        self, host: str, argv: Sequence[str], **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end; an exit code other than 0 is an error.

        Takes the options of `subprocess.run`; output is captured as text by default.
        """
        usual = {"capture_output": True, "text": True, "timeout": _PATIENCE_SECONDS}
        check = options.pop("check", True)
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*self.command_prefix(host), *argv], check=False, **(usual | options)
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"{' '.join(argv)} on {host}: {done.returncode}\n{said}")
        return done

    def start_controller(self) -> None:
        """Start slurmctld, anew or after `stop_controller`."""
        self._start("slurmctld", LOGIN, "slurmctld", "-D")

    def stop_controller(self, number: int = signal.SIGKILL) -> None:
        """End slurmctld by a signal: with SIGTERM it saves its state first."""
        self._stop("slurmctld", number)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node, anew or after `kill_node`."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._start(f"slurmd-{node}", node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of a node; the steps there run on."""
        self._stop(f"slurmd-{node}", signal.SIGKILL)

    def set_node_down(self, node: str, reason: str = "as the test says") -> None:
        """Declare a node DOWN, which ends every job on it with NODE_FAIL."""
        self._set_node(node, "State=DOWN", f"Reason={reason}")

    def resume_node(self, node: str) -> None:
        """Take a node that is DOWN or drained into service again."""
        self._set_node(node, "State=RESUME")
        self.await_nodes(node)

    def await_nodes(self, *nodes: str) -> None:
        """Wait until these nodes, or all, are idle."""
        names = nodes or self.nodes
        command = ["sinfo", "--noheader", "--Node", f"--nodes={','.join(names)}", "--format=%N %T"]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            done = self.run(LOGIN, command, check=False)
            if done.returncode == 0 and set(done.stdout.splitlines()) == {
                f"{n} idle" for n in names
            }:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"nodes are not idle: {done.stdout}{done.stderr}{self.logs()}")
            time.sleep(_LOOK_SECONDS)

    def logs(self) -> str:
        """Give the end of every log, for the message of a test that fails."""
        parts = []
        for path in sorted((self.folder / "log").iterdir()):
            text = path.read_text(encoding="utf-8", errors="replace")
            parts.append(f"--- {path.name}\n{text[-2000:]}")
        return "\n".join(parts)

    def _set_node(self, node: str, *changes: str) -> None:
        self.run(LOGIN, ["scontrol", "update", f"NodeName={node}", *changes])

    def _place(self) -> Place:
        user = _user()
        if self.mode == "hosts":
            return Place(
                self.folder,
                user,
                f"{LOGIN}({network.address_of(0)})",
                LOGIN,
                {node: f"NodeAddr={self.address(node)}" for node in self.nodes},
            )
        host = socket.gethostname().split(".", maxsplit=1)[0]
        controller, dbd, *ports = _free_ports(2 + self.site.nodes)
        nodes = {
            node: f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            for node, port in zip(self.nodes, ports, strict=True)
        }
        return Place(self.folder, user, f"{host}(127.0.0.1)", "127.0.0.1", nodes, (controller, dbd))

    def _start_munge(self) -> None:
        key = self.folder / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        run, log = self.folder / "run", self.folder / "log"
        self._start(
            "munged",
            LOGIN,
            "munged",
            "--foreground",
            "--force",  # folders of tests are closed to other users, which it dislikes
            f"--socket={run}/munge.sock",
            f"--key-file={key}",
            f"--pid-file={run}/munged.pid",
            f"--log-file={log}/munged.log",
            f"--seed-file={run}/munged.seed",
        )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (run / "munge.sock").exists():
            if time.monotonic() > deadline or self._daemons["munged"].poll() is not None:
                raise RuntimeError(f"munged did not start: {self.logs()}")
            time.sleep(_LOOK_SECONDS)

    def _start(self, name: str, host: str, *command: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            self._daemons[name] = self.popen(
                host,
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _stop(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self._daemons.pop(name)
        process.send_signal(number)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _free_ports(count: int) -> list[int]:
    """Find ports that nobody uses."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports
