"""Runs a command on a host: enters its namespaces and stands for the command outside.

Runs as `python -I -S enter.py PID COMMAND…`, with the process that holds the host. A
process can't move into another PID namespace, only its children can: so the command
is a child, and this process passes on every signal and ends as the command ends. If
it is killed, the kernel kills the command.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NAMESPACES = ("net", "uts", "pid_for_children", "mnt")  # /proc is another one after "mnt"
_PASSED_ON = signal.valid_signals() - {
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
}
_LIBC = ctypes.CDLL(None, use_errno=True)


def main(holder: int, command: list[str]) -> None:
    """Run the command on the host that `holder` holds; end the way it ends."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    enter(holder)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        become(command, mask)
    os.chdir("/")  # a folder must not look busy because of this process
    status = stand_for(child)
    if os.WIFSIGNALED(status):
        die_of(os.WTERMSIG(status), me)
    os._exit(os.waitstatus_to_exitcode(status))


def enter(holder: int) -> None:
    """Move into the namespaces of the host, but stay in this folder."""
    here = os.getcwd()  # noqa: PTH109 - pathlib takes long to load
    files = [os.open(f"/proc/{holder}/ns/{name}", os.O_RDONLY) for name in _NAMESPACES]
    for file in files:
        if _LIBC.setns(file, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(file)
    os.chdir(here)


def become(command: list[str], mask: set[int | signal.Signals]) -> None:
    """Execute the command in this process, which is the child."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    os.setpgid(0, 0)  # or a signal to the group would arrive twice
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)


def stand_for(child: int) -> int:
    """Pass signals on to the child until it ends; give its status."""
    while True:
        number = signal.sigwait(_PASSED_ON)
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return status


def die_of(number: int, me: int) -> None:
    """End by the signal that ended the command."""
    _LIBC.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: no second core file
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(me, number)
    os._exit(128 + number)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
