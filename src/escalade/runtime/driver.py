"""The run of a campaign by one driver: its lock, its lease, its ledger, its keeper.

`begin` and `end` frame what a driver does. Between them a keeper process, in a
session of its own, advances the lease for as long as the driver exists, and ends
everything in the ledger as soon as the driver is gone without having called `end`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError, InputError
from escalade.files import read_json, write_json
from escalade.runtime import daemon, lease, ledger, processes
from escalade.runtime.endpoints import node_address
from escalade.runtime.processes import Identity
from escalade.runtime.slurm.own import own_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = 1
_LOCK_FILE = "driver.lock"
_KEEPER_SECONDS = 3.0
_RUNS_KEPT = 10
"""Folders of runs that are over, per campaign; results lie elsewhere."""

_locks: dict[Path, int] = {}
"""The campaign locks this process holds: open files, by the lock's path."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run: `<state root>/<campaign>/<run id>`.

    Parameters
    ----------
    path
        The folder.
    lease_seconds
        How long the lease may stand still before what depends on it ends itself.
    """

    path: Path
    lease_seconds: float

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open the folder of a run that has begun, as a step of it does.

        Raises
        ------
        InputError
            When it is no such folder.
        """
        path = path.resolve()
        return cls(path, float(read_driver(path)["lease_seconds"]))

    @property
    def lease(self) -> Path:
        """The lease that keeps the processes of the run alive."""
        return self.path / "lease"

    @property
    def ledger(self) -> Path:
        """The ledger of the processes of the run."""
        return self.path / "ledger.jsonl"

    @property
    def jobs(self) -> Path:
        """The jobs of the run; no file where there is no scheduler."""
        return self.path / "jobs.jsonl"

    @property
    def held(self) -> Path:
        """Jobs of the run that no cell is using."""
        return self.path / "held"

    @property
    def over(self) -> Path:
        """A file that exists once nothing of the run is left."""
        return self.path / "over.json"

    @property
    def lock(self) -> Path:
        """The lock of the campaign, held by its driver."""
        return self.path.parent / _LOCK_FILE


def begin(state_root: Path, campaign: str, run_id: str, lease_seconds: float = 15.0) -> RunFolder:
    """Become the driver of a campaign.

    Takes the campaign's lock, ends what earlier runs of it left behind, drops all but
    the last ten of their folders, and starts the keeper.

    Parameters
    ----------
    state_root
        Where runs keep their state, on a local file system.
    campaign, run_id
        Names of folders; the run must be new.
    lease_seconds
        How long anything of the run may outlive its driver and keeper.

    Raises
    ------
    InfrastructureError
        When another driver has the campaign (its pid and start are named), the
        folder can't be written, or the keeper does not come up.
    """
    campaign_folder = state_root.resolve() / _folder_name(campaign, "campaign")
    run = RunFolder(campaign_folder / _folder_name(run_id, "run"), lease_seconds)
    _take_lock(run, campaign)
    try:
        _sweep_earlier(campaign_folder)
        _refuse_if_used(run)
        _drop_old(campaign_folder)
        _write_driver(run, campaign)
        lease.create(run.lease)
        daemon.start("escalade.runtime.keeper", run.path, run.path / "keeper.log")
    except BaseException:
        _drop_lock(run)
        raise
    return run


def end(run: RunFolder) -> None:
    """End everything of a run: allocations, steps, keeper; then drop the lock.

    Harmless when repeated. Takes as long as the processes need to stop, and at
    most the grace of the ledger plus a second.

    Raises
    ------
    InfrastructureError
        When a process survives SIGKILL.
    """
    try:
        swept = finish(run, by="driver")
        _stop_keeper(run)
    finally:
        _drop_lock(run)
    if swept.survived:
        pids = ", ".join(str(identity.pid) for identity in sorted(swept.survived, key=str))
        raise InfrastructureError(
            f"Process {pids} of {run.path} survives SIGKILL: it hangs in the kernel or belongs "
            "to another user. Its ports and memory stay taken until it ends."
        )


@contextlib.contextmanager
def driving(
    state_root: Path, campaign: str, run_id: str, lease_seconds: float = 15.0
) -> Iterator[RunFolder]:
    """Frame a block with `begin` and `end`."""
    run = begin(state_root, campaign, run_id, lease_seconds)
    try:
        yield run
    finally:
        end(run)


def finish(run: RunFolder, by: str) -> ledger.Swept:
    """Sweep jobs and ledger of a run, sparing its keepers, and note that it is over."""
    entries = ledger.read(run.ledger)
    keepers = {entry.identity for entry in entries if entry.role == "keeper"}
    gone = _cancel_jobs(run)
    swept = ledger.sweep(run.ledger, spared=keepers)
    if gone and run.path.is_dir() and not run.over.exists() and not swept.survived:
        write_json(run.over, {"at": time.time(), "by": by, "ended": len(swept.ended)})
    return swept


def sweep(run: RunFolder, by: str) -> None:
    """End everything of a run whose driver is gone, its keepers too."""
    try:
        finish(run, by)
    finally:
        _stop_keeper(run)


def _cancel_jobs(run: RunFolder) -> bool:
    if not run.jobs.exists():
        return True
    from escalade.runtime.slurm import jobs  # noqa: PLC0415 - most runs have none
    from escalade.runtime.slurm.commands import Slurm  # noqa: PLC0415 - the same

    return jobs.sweep(run.jobs, Slurm())


def read_driver(path: Path) -> dict[str, Any]:
    """Read who drives, or drove, the run in `path`.

    Raises
    ------
    InputError
        When it is no folder of a run.
    """
    content = read_json(path / "driver.json", "driver of a run")
    if not isinstance(content, dict) or content.get("schema") != _SCHEMA:
        raise InputError(f"{path / 'driver.json'} was written by another version of Escalade.")
    return content


def driver_identity(path: Path) -> Identity | None:
    """Give the driver's process, if it can be alive: None after a reboot or elsewhere."""
    content = read_driver(path)
    if content["boot"] != processes.boot_id():
        return None
    return Identity(int(content["pid"]), int(content["start_time"]))


def _refuse_if_used(run: RunFolder) -> None:
    if run.path.exists():
        raise InfrastructureError(f"{run.path} exists: every run needs an id of its own.")


def _write_driver(run: RunFolder, campaign: str) -> None:
    own = processes.own_identity()
    content = {
        "schema": _SCHEMA,
        "campaign": campaign,
        "run_id": run.path.name,
        "pid": own.pid,
        "start_time": own.start_time,
        "boot": processes.boot_id(),
        "node": node_address(),
        "host": os.uname().nodename,
        "job": own_job(),
        "begun_at": time.time(),
        "lease_seconds": run.lease_seconds,
    }
    with contextlib.suppress(OSError):  # what stands in the way is named by the next line
        run.path.mkdir(mode=0o700)
    write_json(run.path / "driver.json", content)


def _sweep_earlier(campaign_folder: Path) -> None:
    """End what earlier runs left; the campaign's lock says that their drivers are gone."""
    for driver_file in sorted(campaign_folder.glob("*/driver.json")):
        earlier = RunFolder(driver_file.parent, 0.0)
        if not earlier.over.exists():
            sweep(earlier, by="next driver")


def _drop_old(campaign_folder: Path) -> None:
    over = sorted(campaign_folder.glob("*/over.json"), key=lambda path: path.stat().st_mtime)
    for old in over[:-_RUNS_KEPT]:
        shutil.rmtree(old.parent, ignore_errors=True)


def _stop_keeper(run: RunFolder) -> None:
    here = processes.boot_id()
    keepers = {
        entry.identity
        for entry in ledger.read(run.ledger)
        if entry.role == "keeper" and entry.boot == here
    }

    def left() -> set[Identity]:
        return {keeper for keeper in keepers if keeper.alive()}

    processes.kill_all(left, _KEEPER_SECONDS / 2)


def _take_lock(run: RunFolder, campaign: str) -> None:
    path = run.lock
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InfrastructureError(
            f"The state folder {path.parent} can't be written: {error.strerror or error}. "
            "Choose another one, or make it writable."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = _describe_owner(handle)
        os.close(handle)
        raise InfrastructureError(
            f"Campaign {campaign!r} is being driven by {owner}. Wait for it, or stop it with "
            "Ctrl-C or `kill`. Another campaign may run beside it."
        ) from error
    _locks[path] = handle
    own = {"pid": os.getpid(), "run_id": run.path.name, "since": time.time()}
    with contextlib.suppress(OSError):  # it only informs; a full disk is named by what follows
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(own).encode(), 0)


def _describe_owner(handle: int) -> str:
    try:
        owner = json.loads(os.pread(handle, 4096, 0))
        since = datetime.fromtimestamp(owner["since"]).astimezone()
        return f"process {owner['pid']} since {since:%Y-%m-%d %H:%M:%S} (run {owner['run_id']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _drop_lock(run: RunFolder) -> None:
    handle = _locks.pop(run.lock, None)
    if handle is not None:
        os.close(handle)


def _forget_locks() -> None:
    """Close the locks in a forked child, or it would hold them beyond the driver."""
    for handle in _locks.values():
        with contextlib.suppress(OSError):
            os.close(handle)
    _locks.clear()


os.register_at_fork(after_in_child=_forget_locks)


def _folder_name(name: str, what: str) -> str:
    if not name or "/" in name or name.startswith("."):
        raise InputError(f"{name!r} can't name the folder of a {what}: expected a plain name.")
    return name
