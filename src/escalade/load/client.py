"""The load generator's process: `python -m escalade.load.client`.

It imports locust and the open-loop layer once, which takes a second, and then forks the
workers of every step that it is asked for: the steps of a ladder follow each other without
that second between them. `escalade.load.generator` is its other side.

Orders come as lines of JSON on standard input, `{"run": [[arguments of locust, FILE for
its output], …]}`, a pair for each worker, and `{"stop": true}`. When all workers have
ended, a line `{"ended": code}` goes to standard output: 0, or the code of the first that
failed, -N for signal N. The end of the input is the end of everything.

Where several nodes send, the epoch is one for all of them: after `{"run": …, "wait": true}`
the answer is `{"ready": true}` when all workers are, and `{"epoch": [CLOCK, OFFSET]}` lets them begin, as
`clocks.Epoch` has it. `{"clock": N}` asks what this node's clock shows; the answer is
`{"clock": N, "at": [received, answered], "unix_offset": OFFSET}`.
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
from contextlib import suppress
from dataclasses import dataclass, field
from os import close, waitpid  # bound here, before locust has gevent replace them by functions
from pathlib import Path  # that do their work in an event loop, which this process never runs
from select import POLLIN, poll
from typing import Any

from escalade.runtime.lifeline import die_with_parent

_STOP_SECONDS = 3.0  # for workers that are stopped to write what they have
_ORDERS, _ANSWERS = 0, 1
_LOOK_SECONDS = 0.02
_BLOCK = 65536


@dataclass
class _Worker:
    """A forked load generator.

    Parameters
    ----------
    pid
        Of the process.
    words
        Descriptor that says when it is ready, and ends with it.
    epoch
        Descriptor that takes the epoch.
    """

    pid: int
    words: int
    epoch: int
    ready: bool = False


@dataclass
class _Step:
    """The workers of one step that have not ended, and how the first of the others failed.

    Parameters
    ----------
    workers
        By the descriptor of their words.
    waits
        For an epoch that is told.
    code
        Of the first worker that failed.
    """

    workers: dict[int, _Worker] = field(default_factory=dict)
    waits: bool = False
    code: int = 0


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
    heard, buffer, step = poll(), b"", _Step()
    heard.register(_ORDERS, POLLIN)
    while True:
        woken = [descriptor for descriptor, _ in heard.poll()]
        for words in set(woken) & set(step.workers):
            _hear(step, words, heard)
        if _ORDERS not in woken:
            continue
        if not (text := os.read(_ORDERS, _BLOCK)):
            _end(step)
            return
        received = time.perf_counter()
        *lines, buffer = (buffer + text).split(b"\n")
        for line in lines:
            order: dict[str, Any] = json.loads(line)
            if "run" in order:
                step = _begin(order)
                for words in step.workers:
                    heard.register(words, POLLIN)
            elif "clock" in order:
                _tell_clock(order["clock"], received)
            elif "epoch" in order:
                _set_epoch(step, order["epoch"])
            else:
                _stop(step)


def _begin(order: dict[str, Any]) -> _Step:
    forked = [_fork(argv, Path(log)) for argv, log in order["run"]]
    return _Step({worker.words: worker for worker in forked}, waits=bool(order.get("wait")))


def _tell_clock(number: int, received: float) -> None:
    from escalade.load.clock import unix_offset  # noqa: PLC0415 - it belongs to what is preloaded

    offset = unix_offset()
    _answer({"clock": number, "unix_offset": offset, "at": [received, time.perf_counter()]})


def _answer(content: dict[str, Any]) -> None:
    os.write(_ANSWERS, json.dumps(content).encode() + b"\n")


def _hear(step: _Step, words: int, heard: poll) -> None:
    """Take a worker's word that it is ready, or its end; the last of either concerns all."""
    worker = step.workers[words]
    if os.read(words, _BLOCK):
        worker.ready = True
        if all(other.ready for other in step.workers.values()):
            if step.waits:
                _answer({"ready": True})
            else:
                _set_epoch(step)
        return
    heard.unregister(words)
    for descriptor in (words, worker.epoch):
        close(descriptor)
    del step.workers[words]
    code = _reap(worker.pid)
    step.code = step.code or code
    if code or not worker.ready:
        _stop(step)  # what the others could still measure is half a step
    if not step.workers:
        _answer({"ended": step.code})


def _set_epoch(step: _Step, given: list[float] | None = None) -> None:
    """Tell the workers the epoch that was given, else one of this node's own."""
    from escalade.load.clocks import Epoch  # noqa: PLC0415 - it belongs to what is preloaded
    from escalade.load.epoch import packed, soon  # noqa: PLC0415 - the same

    epoch = packed(Epoch(*given) if given else soon())
    for worker in step.workers.values():
        with suppress(BrokenPipeError):  # its end is heard next
            os.write(worker.epoch, epoch)


def _fork(argv: list[str], log: Path) -> _Worker:
    from gevent.os import fork_gevent  # noqa: PLC0415 - the same

    own = os.getpid()
    words, says = os.pipe()
    hears, epoch = os.pipe()
    child: int = fork_gevent()
    if child == 0:
        close(words)
        close(epoch)
        _generate(argv, log, own, (says, hears))
    close(says)
    close(hears)
    return _Worker(child, words, epoch)


def _generate(argv: list[str], log: Path, parent: int, links: tuple[int, int]) -> None:
    """Be a load generator; its end of the links stays open until this process is gone."""
    code = 1
    try:
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _redirect(log)
        from locust.main import main as run_locust  # noqa: PLC0415 - imported already

        from escalade.load.epoch import join  # noqa: PLC0415 - the same

        join(*links)
        sys.argv = ["locust", *argv]
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


def _stop(step: _Step) -> None:
    for worker in step.workers.values():
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGTERM)


def _end(step: _Step) -> None:
    """Let the workers write what they have, then make sure that they are gone."""
    _stop(step)
    deadline = time.monotonic() + _STOP_SECONDS
    for worker in step.workers.values():
        while os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                os.kill(worker.pid, signal.SIGKILL)
                break
            time.sleep(_LOOK_SECONDS)
        _reap(worker.pid)


def _reap(child: int) -> int:
    _, status = waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


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
