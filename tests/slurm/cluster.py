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
import signal
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from escalade.errors import InfrastructureError
from escalade.runtime.lifeline import die_with_parent
from slurm import accounting, configuration, network, packages
from slurm.configuration import Place, Site
from slurm.loopback import Loopback
from slurm.network import LOGIN, Hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["LOGIN", "Cluster", "Mode", "Site", "missing"]

Mode = Literal["hosts", "ports"]
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_FOREIGN = ("SLURM_", "SRUN_", "SBATCH_", "SALLOC_", "SLURMD_", "SQUEUE_", "SINFO_", "SACCT_")


def missing(site: Site | None = None) -> str:
    """Say why there can be no such cluster here; empty when there can."""
    try:
        software = packages.locate()
    except InfrastructureError as error:
        return f"Slurm is not installed: {error}"
    needed = packages.ACCOUNTING if site is not None and site.accounting else ()
    absent = [name for name in needed if name not in software.programs]
    return f"Slurm's accounting is not installed: no {', '.join(absent)}" if absent else ""


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
        self._software = packages.locate()
        self._machines: Hosts | Loopback | None = None
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes."""
        return self.site.node_names

    @property
    def local(self) -> Path:
        """A folder that has other content on every host, in the mode "hosts"."""
        return self.folder / "local"

    def address(self, host: str) -> str:
        """Give the address of a host within the cluster."""
        return self._here.address(host)

    def program(self, name: str) -> str:
        """Give the path of a program of Slurm's, to be called on any host."""
        path = self._software.programs[name]
        return str(self._wrappers / name if self._wrapped else path)

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
            self._prepare()
            self._start_munge()
            if self.site.accounting:
                self._start_accounting()
            self.start_controller()
            for node in self.nodes:
                self.start_node(node)
            self.await_nodes()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End every process of the cluster; its folder stays, with the logs."""
        if self._machines is not None:
            self._machines.stop()
            self._machines = None
        for process in self._daemons.values():
            process.kill()
            process.wait()
        self._daemons.clear()

    def command_prefix(self, host: str = LOGIN) -> tuple[str, ...]:
        """Give what to put before a command to run it on a host.

        The command starts as on a host of its own: nothing of a surrounding Slurm job
        is in its environment. In the mode "hosts", the process that comes of it passes
        on signals and ends as the command does, whose own pid is another one, in a
        process table of its own; killing it kills the command.
        """
        clean = [f"--unset={name}" for name in os.environ if name.startswith(_FOREIGN)]
        path = (f"PATH={self._wrappers}:{os.environ.get('PATH', os.defpath)}",)
        return ("env", *clean, *(path if self._wrapped else ()), *self._here.prefix(host))

    def popen(self, host: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a command on a host; it ends with the calling thread at the latest."""
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
        self.start("slurmctld", "-D")

    def stop_controller(self, number: int = signal.SIGTERM) -> None:
        """End slurmctld by a signal: killed, it forgets the jobs of the last seconds."""
        self._stop("slurmctld", number)

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node, anew or after `kill_node`."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        steps = self._software.step_daemon
        where = ("-d", str(steps)) if steps else ()
        self.start("slurmd", "-D", "-N", node, *where, host=node)

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of a node; the steps there run on."""
        self._stop(f"slurmd@{node}", signal.SIGKILL)

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
        idle = {f"{name} idle" for name in names}
        self._await(
            lambda: set(self.run(LOGIN, command, check=False).stdout.splitlines()) == idle,
            f"nodes {', '.join(names)} to be idle",
        )

    def await_success(self, *command: str) -> None:
        """Wait until a command succeeds on the login host."""
        self._await(
            lambda: self.run(LOGIN, command, check=False).returncode == 0, f"success of {command}"
        )

    def logs(self) -> str:
        """Give the end of every log, for the message of a test that fails."""
        parts = []
        for path in sorted((self.folder / "log").iterdir()):
            text = path.read_text(encoding="utf-8", errors="replace")
            parts.append(f"--- {path.name}\n{text[-2000:]}")
        return "\n".join(parts)

    def start(
        self,
        program: str,
        *arguments: str,
        host: str = LOGIN,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a daemon in the foreground, to be ended with the cluster."""
        name = program if host == LOGIN else f"{program}@{host}"
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            self._daemons[name] = self.popen(
                host,
                [self.program(program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    @property
    def _here(self) -> Hosts | Loopback:
        if self._machines is None:
            raise RuntimeError("the cluster is not up")
        return self._machines

    @property
    def _wrappers(self) -> Path:
        return self.folder / "bin"

    @property
    def _wrapped(self) -> bool:
        """Tell whether programs have to be told where configuration and libraries are."""
        return self.mode == "ports" or bool(self._software.libraries)

    def _prepare(self) -> None:
        """Make the machines, and write every file that the daemons read."""
        conf = self.folder / "etc" / "slurm.conf"
        hosts = self.mode == "hosts"
        self._machines = Hosts(self.folder, self.site) if hosts else Loopback(conf, self.nodes)
        place = Place(
            folder=self.folder,
            user=_user(),
            controller=self._machines.controller(),
            nodes={node: self._machines.node(node) for node in self.nodes},
            plugins=self._software.plugins,
            **self._machines.ports,
        )
        configuration.write(self.site, place)
        if self._wrapped:
            self._software.write_wrappers(self._wrappers, conf)

    def _start_munge(self) -> None:
        key = self.folder / "etc" / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        run, log = self.folder / "run", self.folder / "log"
        self.start(
            "munged",
            "--foreground",
            "--force",  # folders of tests are closed to other users, which it dislikes
            f"--socket={run}/munge.sock",
            f"--key-file={key}",
            f"--pid-file={run}/munged.pid",
            f"--log-file={log}/munged.log",
            f"--seed-file={run}/munged.seed",
        )
        self._await((run / "munge.sock").exists, "the socket of munged")

    def _start_accounting(self) -> None:
        port = self._here.ports["accounting_port"]
        accounting.start(self, _user(), self.address(LOGIN), port)

    def _set_node(self, node: str, *changes: str) -> None:
        self.run(LOGIN, ["scontrol", "update", f"NodeName={node}", *changes])

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition while every daemon lives."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition():
            ended = [name for name, process in self._daemons.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                why = f"{', '.join(ended)} ended" if ended else "it took too long"
                raise RuntimeError(f"waited for {what}: {why}\n{self.logs()}")
            time.sleep(_LOOK_SECONDS)

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
