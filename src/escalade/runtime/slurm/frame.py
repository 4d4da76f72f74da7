"""The frame around a step on its node: checks what it got, says so, and runs the program.

`python -m escalade.runtime.slurm.frame ORDER -- COMMAND…`, with the order as JSON. The
allocation may have been given to the step in part only: some sites pin every step to
one thread by default, and a GPU that was asked for may be hidden from it. A measurement
on less than what was planned would be wrong in silence, so the step ends instead.

It stays above the program: a step that left children behind would never end for srun.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from escalade.errors import EscaladeError, InfrastructureError
from escalade.runtime import processes
from escalade.runtime.lifeline import adopt_orphans, die_with_parent
from escalade.runtime.spool import Spool

if TYPE_CHECKING:
    from escalade.runtime.processes import Identity

REFUSED = "refused"
_NOT_RUN = 127
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a step is to find on its node.

    Parameters
    ----------
    notes
        Spool folder that says which processes are on this node.
    name, role, token, log
        As in the spool of the allocation.
    cpus
        Logical CPUs to run on; None takes what there is.
    gpus
        GPUs it has to see, as `CUDA_VISIBLE_DEVICES` names them; None for any.
    scratch
        Folder that is removed at the end.
    stdin
        Whether the program reads what srun reads.
    """

    notes: str
    name: str
    role: str
    token: str
    log: str
    cpus: tuple[int, ...] | None
    gpus: tuple[str, ...] | None
    scratch: str | None = None
    stdin: bool = False

    def to_text(self) -> str:
        """Give the order as one word of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` gave."""
        content = json.loads(text)
        for key in ("cpus", "gpus"):
            content[key] = None if content[key] is None else tuple(content[key])
        return cls(**content)


def visible_gpus() -> tuple[str, ...]:
    """Give the GPUs that this process may use, as Slurm names them; () for none."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return tuple(part for part in shown.split(",") if part and part != "NoDevFiles")


def take_place(order: Order) -> None:
    """Pin this process to its CPUs, and make sure that it has what was planned.

    Raises
    ------
    InfrastructureError
        When it has not: with what it has, and what to change.
    """
    affinity = os.sched_getaffinity(0)
    missing = sorted(set(order.cpus or ()) - affinity)
    if missing:
        raise InfrastructureError(
            f"Step {order.name!r} may not run on CPU {_listed(missing)} of {os.uname().nodename}: "
            f"Slurm gave it CPU {_listed(sorted(affinity))} only. The site binds steps by default "
            "(scontrol show config: TaskPluginParam, and SLURM_CPU_BIND); ask for whole nodes, or "
            "lower `cpus` of the component."
        )
    if order.gpus is not None and visible_gpus() != order.gpus:
        raise InfrastructureError(
            f"Step {order.name!r} on {os.uname().nodename} sees the GPUs "
            f"{','.join(visible_gpus()) or 'none'}; planned: {','.join(order.gpus) or 'none'}. "
            "Look at GresTypes and gres.conf of the site, and at `gpus` of the component."
        )
    if order.cpus:
        os.sched_setaffinity(0, order.cpus)


def run(order: Order, argv: list[str]) -> int:
    """Run the program to its end, and end what it leaves behind; give srun's exit code.

    Returns
    -------
    int
        The program's own, or 128 and the number of the signal that ended it.
    """
    adopt_orphans()
    own = os.getpid()
    child = subprocess.Popen(
        argv,
        stdin=None if order.stdin else subprocess.DEVNULL,
        preexec_fn=partial(_prepare, own),  # noqa: PLW1509 - no threads here
    )
    child.returncode = 0  # reaped below, so that Popen must not wait for it
    _announce(order, child.pid)
    code = _await_end(child.pid)
    Spool(Path(order.notes)).write(order.name, "ended", order.token, _ending(code))
    processes.kill_all(_left, _GRACE_SECONDS)
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """Check and run; what can't be run is said in a note and on standard error."""
    order, argv = Order.from_text(arguments[0]), arguments[2:]
    # Slurm signals every process of a step; the program's own answer counts.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCONT):
        signal.signal(number, lambda *_: None)
    try:
        take_place(order)
        return run(order, argv)
    except EscaladeError as error:
        return _refuse(order, str(error), error.exit_code)
    except OSError as error:
        said = f"could not be executed: {error.strerror}: {error.filename or argv[0]}"
        return _refuse(order, said, _NOT_RUN)
    finally:
        if order.scratch is not None:
            shutil.rmtree(order.scratch, ignore_errors=True)


def _announce(order: Order, pid: int) -> None:
    """Write down which process of this node the step is, and what it got."""
    found = processes.identify(pid)
    content = {
        "name": order.name,
        "role": order.role,
        "pid": pid,
        "start_time": None if found is None else found.start_time,
        "log": order.log,
        "node": os.environ.get("SLURMD_NODENAME", os.uname().nodename),
        "affinity": sorted(os.sched_getaffinity(0)),
        "gpus": list(visible_gpus()),
    }
    Spool(Path(order.notes)).write(order.name, "started", order.token, content)


def _await_end(child: int) -> int:
    """Reap until the program has ended, adopted orphans as well; give its code or -signal."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _left() -> set[Identity]:
    """Find what the program left behind: all that this process is above of."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    table = processes.snapshot()
    found = processes.descendants([os.getpid()], table) - processes.lineage(os.getpid(), table)
    return {table[pid].identity for pid in found}


def _ending(code: int) -> dict[str, int | float | None]:
    return {
        "ended_at": time.time(),
        "exit_code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
    }


def _prepare(parent: int) -> None:
    """Set up the child, between fork and exec."""
    die_with_parent(parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCONT):
        signal.signal(number, signal.SIG_DFL)


def _refuse(order: Order, why: str, code: int) -> int:
    sys.stderr.write(f"{why}\n")
    Spool(Path(order.notes)).write(order.name, REFUSED, order.token, {"error": why})
    return code


def _listed(numbers: list[int]) -> str:
    return ",".join(map(str, numbers)) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
