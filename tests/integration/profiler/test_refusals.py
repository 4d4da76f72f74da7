"""What a node is refused for, and what it says."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import requests

from profiling import Child, Rig, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from gpus import Machine


def ended(child: Child) -> tuple[int, str]:
    code = child.process.wait(30)
    until(lambda: not child._reader.is_alive())
    return code, child.said


def test_a_node_with_another_token_is_told_where_the_right_one_is(rig: Rig, tmp_path: Path) -> None:
    address = f"0.0.0.0:{rig.port}"
    head = Child(
        *("start", "--port", str(rig.port), "--http-port", "0", "--data", str(rig.data)),
    )
    rig.children.append(head)
    head.until("The head is ready")
    wrong = tmp_path / "wrong"
    wrong.write_text("another-token-of-some-length")
    wrong.chmod(0o600)

    code, said = ended(rig.node("alpha", "--token-file", str(wrong)))
    stranger = requests.get(f"http://{rig.address}/status", timeout=5)
    healthy = requests.get(f"http://{rig.address}/health", timeout=5)
    right = rig.node("beta", "--token-file", str(rig.data / "token"))
    status = rig.run("status", rig.address, "--token-file", str(rig.data / "token"))

    assert code == 2
    assert "wants another token" in said
    assert "--token-file" in said
    assert "another-token-of-some-length" not in said
    assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthorized")
    assert healthy.json()["status"] == "ok"
    right.until("read every 250 ms")
    assert address.endswith(str(rig.port))
    assert "readings every 250 ms" in status
    secret = (rig.data / "token").read_text().strip()
    shown = "".join(child.said for child in rig.children)
    logs = "".join(path.read_text("utf-8", "replace") for path in rig.folder.rglob("*.log"))
    assert secret not in shown + logs


def test_a_name_that_another_agent_has_is_refused(rig: Rig, tmp_path: Path) -> None:
    rig.head()
    rig.node("alpha")
    until(lambda: rig.ask("status", rig.address)["healthy"] == 1)

    code, said = ended(rig.node("alpha", "--queue", str(tmp_path / "another")))

    assert code == 2
    assert "Another agent sends as node 'alpha'" in said
    assert "--name" in said


def test_a_queue_that_another_agent_has_is_refused(rig: Rig) -> None:
    rig.head()
    rig.node("alpha").until("read every")

    code, said = ended(rig.node("alpha"))

    assert code == 2
    assert "Another agent works with the queue" in said


def test_a_second_head_in_the_same_folder_is_refused(rig: Rig) -> None:
    rig.head()

    said = rig.run("start", "--host", "127.0.0.1", "--port", "0", "--data", str(rig.data), code=2)

    assert "A head works in" in said
    assert rig.address in said.replace("\n", "")


def test_without_a_head_a_node_ends_unless_it_is_resilient(rig: Rig) -> None:
    code, said = ended(rig.node("alpha"))
    patient = rig.node("beta", "--resilient")
    patient.until("read every 250 ms")
    time.sleep(2)
    rig.head()
    until(lambda: rig.ask("status", rig.address)["healthy"] == 1)
    rig.run("profile", rig.address, "--name", "past", "--last", "60s")
    told = rig.stop("past")

    assert code == 3
    assert "No head of the profiler answers" in said
    assert len(told["frames"]) >= 6, "what was read before the head came is there too"


def test_a_node_without_a_gpu_says_so(rig: Rig, machine: Machine) -> None:
    rig.head()
    machine.state.count = 0

    code, said = ended(rig.node("alpha"))

    assert code == 3
    assert "GPU" in said
    assert "Traceback" not in said


def test_a_node_whose_clock_is_an_hour_off_is_not_taken_in(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"status": "ok", "time": time.time() - 3600}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Late)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    code, said = ended(rig.node("alpha", head=f"127.0.0.1:{server.server_address[1]}"))
    server.shutdown()
    server.server_close()

    assert code == 3
    assert "clock of this node is +3,600 s off" in said.replace("\n", " ")


def test_what_answers_and_is_no_head_is_said_to_be_none(rig: Rig) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"

    code, said = ended(rig.node("alpha", head=address))
    status = rig.run("status", address, code=3)
    server.shutdown()
    server.server_close()

    assert code == 3
    assert "No head of the profiler answers" in said
    assert "is no head of the profiler" in status.replace("\n", " ")
