"""The load generator's process: `python -m escalade.load.client`.

It imports locust and the open-loop layer once, which takes a second, and then forks a
load generator for every step that it is asked for: the steps of a ladder follow each
other without that second between them. `escalade.load.generator` is its other side.

Orders come as lines of JSON on standard input, `{"run": [arguments of locust], "log": FILE}`
and `{"stop": true}`; for every load generator that has ended, a line `{"ended": code}` goes
to standard output, with -N for signal N. The end of the input is the end of everything.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import resource
import signal
import sys
import time
from os import close, waitpid  # bound here, before locust has gevent replace them by functions
from pathlib import Path  # that do their work in an event loop, which this process never runs
from select import POLLIN, poll
from typing import Any

from escalade.runtime.lifeline import die_with_parent

_STOP_SECONDS = 3.0  # for a load generator that is stopped to write what it has
_ORDERS, _ANSWERS = 0, 1
_LOOK_SECONDS = 0.02
_BLOCK = 65536


def main(argv: list[str] | None = None) -> None:
    """Fork load generators until standard input ends.

    Parameters
    ----------
    argv
        `--parent PID`, with which this process dies; `--cpus 0,1`, where it runs.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--parent", type=int)
    parser.add_argument("--cpus", type=_cpus)
    options = parser.parse_args(argv)
    if options.parent is not None:
        die_with_parent(options.parent)
    if options.cpus:
        _pin(options.cpus, parser)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal job
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one connection per user
    _preload()
    _serve()


def _preload() -> None:
    """Import all that a load generator needs, with the parts of it that Escalade adds."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # threads would not live through a fork
    import locust.main  # noqa: F401, PLC0415 - replaces parts of the standard library
    import pandas  # noqa: F401, ICN001, PLC0415 - pyarrow looks for it at the first conversion

    import escalade.load.workload  # noqa: F401, PLC0415 - adds --escalade-step as well

    gc.collect()
    gc.freeze()  # what is shared with the children stays where it is


def _serve() -> None:
    ready, buffer = poll(), b""
    ready.register(_ORDERS, POLLIN)
    child: int | None = None
    its_end = -1
    while True:
        woken = {descriptor for descriptor, _ in ready.poll()}
        if child is not None and its_end in woken:
            ready.unregister(its_end)
            close(its_end)
            _answer(_reap(child))
            child = None
        if _ORDERS not in woken:
            continue
        if not (text := os.read(_ORDERS, _BLOCK)):
            if child is not None:
                _end(child)
            return
        *lines, buffer = (buffer + text).split(b"\n")
        for line in lines:
            order: dict[str, Any] = json.loads(line)
            if "run" in order:
                child, its_end = _fork(order["run"], Path(order["log"]))
                ready.register(its_end, POLLIN)
            elif child is not None:
                os.kill(child, signal.SIGTERM)


def _fork(argv: list[str], log: Path) -> tuple[int, int]:
    """Start a load generator; give its pid and a descriptor that ends with it."""
    from gevent.os import fork_gevent  # noqa: PLC0415 - gevent belongs to what is preloaded

    own = os.getpid()
    end, held = os.pipe()
    child: int = fork_gevent()
    if child == 0:
        close(end)
        _generate(argv, log, own)
    close(held)
    return child, end


def _generate(argv: list[str], log: Path, parent: int) -> None:
    """Be a load generator; `held` of the fork stays open until this process is gone."""
    code = 1
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _redirect(log)
        sys.argv = ["locust", *argv]
        from locust.main import main as run_locust  # noqa: PLC0415 - imported already

        run_locust()  # type: ignore[no-untyped-call]
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        logging.getLogger(__name__).exception("The load generator broke off")
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # taking the interpreter apart would cost a tenth of a second


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for descriptor, place in ((nothing, 0), (written, 1), (written, 2)):
        os.dup2(descriptor, place)
    close(nothing)
    close(written)


def _end(child: int) -> None:
    """Let a load generator write what it has, then make sure that it is gone."""
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(_LOOK_SECONDS)
    _reap(child)


def _reap(child: int) -> int:
    _, status = waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _answer(code: int) -> None:
    os.write(_ANSWERS, json.dumps({"ended": code}).encode() + b"\n")


def _pin(cpus: set[int], parser: argparse.ArgumentParser) -> None:
    try:
        os.sched_setaffinity(0, cpus)
    except OSError:
        allowed = sorted(os.sched_getaffinity(0))
        parser.error(f"--cpus: this process may run on {allowed}, not on {sorted(cpus)}")


def _cpus(text: str) -> set[int]:
    return {int(cpu) for cpu in text.split(",")}


if __name__ == "__main__":
    main()
