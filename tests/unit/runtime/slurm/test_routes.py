"""The address of a node is one where the node itself answers."""

from __future__ import annotations

import socket
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.runtime.slurm import remote, routes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def command(function: object, *arguments: object) -> tuple[str, ...]:
    """Stand for srun: the function runs here, in a process of its own."""
    return remote.command(function, arguments)  # type: ignore[arg-type]


@pytest.fixture
def stranger() -> Iterator[int]:
    """Give the port of a server that says something else."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    caller.sendall(b"welcome!")

        threading.Thread(target=answer, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def test_the_first_address_that_answers_is_chosen(tmp_path: Path) -> None:
    # 240.0.0.0/4 is routed nowhere (RFC 1112); both others are this machine
    candidates = ["240.0.0.1", "127.0.0.1", "localhost"]

    chosen = routes.choose("n1", candidates, tmp_path, command, routes.first_reached)

    assert chosen == "127.0.0.1"
    assert list(tmp_path.iterdir()) == []
    assert not [p for p in psutil.Process().children() if "slurm.remote" in " ".join(p.cmdline())]


def test_another_machine_at_that_address_is_not_taken_for_the_node(stranger: int) -> None:
    assert routes.first_reached(["127.0.0.1"], stranger, "0123abcd") is None
    assert routes.first_reached(["127.0.0.1"], stranger, "welcome!") == "127.0.0.1"


def test_a_node_that_nobody_reaches_is_told_with_the_key_to_set(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"at 240\.0\.0\.1\. .*slurm\.interface"):
        routes.choose("n1", ["240.0.0.1"], tmp_path, command, routes.first_reached)


def test_a_step_that_does_not_begin_is_told_in_its_own_words(tmp_path: Path) -> None:
    said = "import sys; sys.exit('srun: error: no')"

    with pytest.raises(InfrastructureError, match="srun: error: no"):
        routes.choose(
            "n1", ["127.0.0.1"], tmp_path, lambda *_: (sys.executable, "-c", said), lambda *_: None
        )


def test_every_address_beyond_loopback_is_a_candidate_and_the_usual_one_comes_first() -> None:
    found = routes.addresses()

    assert len(found) == len(set(found))
    assert found[0] == routes.node_address()
    assert not [address for address in found[1:] if address.startswith("127.")]


def test_a_named_interface_leaves_no_choice() -> None:
    assert routes.addresses("lo") == ["127.0.0.1"]
    with pytest.raises(InputError, match="no-such"):
        routes.addresses("no-such")


def test_a_listener_gives_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_LISTEN_SECONDS", 0.05)
    listening = threading.Thread(target=partial(routes.listen, str(tmp_path), "n1", "token"))

    listening.start()
    listening.join(5)

    assert not listening.is_alive()
