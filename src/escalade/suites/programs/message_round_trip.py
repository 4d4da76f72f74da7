"""Seconds that a message takes to another process and back: through pipes, or TCP on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

from escalade.runtime.lifeline import die_with_parent
from escalade.suites.programs import pacing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def main() -> None:
    """Print the time of each round trip, in s."""
    parser = pacing.parser("message_round_trip", "Send a message there and back.")
    parser.add_argument("--through", default="pipe", choices=("pipe", "tcp"))
    parser.add_argument("--bytes", type=int, default=64, help="of one message")
    options = parser.parse_args()
    read, write = _through_pipes(options) if options.through == "pipe" else _through_tcp(options)
    message = os.urandom(options.bytes)

    def once() -> float:
        began = time.perf_counter()
        write(message)
        try:
            back = _whole(read, len(message))
        except EOFError:
            pacing.fail("the other process is gone")
        seconds = time.perf_counter() - began
        if back != message:
            pacing.fail("the other process did not send back what it was sent")
        return seconds

    pacing.measure(options, once)


def _through_pipes(
    options: argparse.Namespace,
) -> tuple[Callable[[int], bytes], Callable[[bytes], object]]:
    (child_reads, parent_writes), (parent_reads, child_writes) = os.pipe(), os.pipe()

    def echo() -> None:
        os.close(parent_writes)
        os.close(parent_reads)
        _echo(
            lambda size: os.read(child_reads, size),
            lambda data: os.write(child_writes, data),
            options.bytes,
        )

    _in_a_child(echo)
    os.close(child_reads)
    os.close(child_writes)
    return lambda size: os.read(parent_reads, size), lambda data: os.write(parent_writes, data)


def _through_tcp(
    options: argparse.Namespace,
) -> tuple[Callable[[int], bytes], Callable[[bytes], object]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()

        def echo() -> None:
            listening.close()
            with socket.create_connection(address) as there:
                there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _echo(there.recv, there.sendall, options.bytes)

        _in_a_child(echo)
        here, _ = listening.accept()
    here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return here.recv, here.sendall


def _in_a_child(work: Callable[[], None]) -> None:
    parent = os.getpid()
    if os.fork():
        return
    try:
        die_with_parent(parent)
        work()
    finally:
        os._exit(0)


def _echo(read: Callable[[int], bytes], write: Callable[[bytes], object], size: int) -> None:
    """Send back whole messages until there are no more: parts could fill both directions."""
    with contextlib.suppress(EOFError):
        while True:
            write(_whole(read, size))


def _whole(read: Callable[[int], bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = read(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


if __name__ == "__main__":
    pacing.run(main)
