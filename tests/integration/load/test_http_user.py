"""The lean HTTP client against servers that behave and servers that do not.

Locust patches the standard library when it is imported, so it gets its own process.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ASK = r"""
import json, sys, zlib
import gevent
from locust.event import EventHook
from gevent.server import StreamServer
import gevent.ssl
from escalade.load.clock import now
from escalade.load.connection import hand_over
from escalade.load.faults import error_class
from escalade.load.http_user import LeanSession

connections, heads, fired, found = [], [], [], {}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PACKED = zlib.compressobj(wbits=31)
GZIP = PACKED.compress(b"long" * 100) + PACKED.flush()
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    "/": OK,
    "/chunked": CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "/until-the-end": b"HTTP/1.1 200 OK\r\n\r\nall",
    "/empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n",
    "/gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIP) + GZIP,
    "/bad-gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz",
    "/there": b"HTTP/1.1 302 Found\r\nLocation: /?a=b c\r\nContent-Length: 4\r\n\r\nmove",
    "/round": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n",
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
    "/nonsense": b"nonsense\r\n\r\n",
    "/fails": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nsick",
    "/close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "/leaves": OK,
    "/chatty": OK + OK,
    "/parts": b"",
    "/parts-cut": b"",
    "/parts-nonsense": b"",
    "/parts-silent": b"",
}
ENDS = {"/parts-cut", "/until-the-end", "/cut", "/nonsense", "/close", "/leaves"}


def serve(sock, address):
    connections.append(address)
    served, buffer = 0, b""
    while True:
        while b"\r\n\r\n" not in buffer:
            if not (data := sock.recv(65536)):
                return
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        heads.append(head.decode())
        length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        while length and len(buffer) < length[0]:
            buffer += sock.recv(65536)
        buffer = buffer[length[0]:] if length else buffer
        path = head.split(b" ")[1].decode().partition("?")[0]
        if path == "/only-first" and served:
            return
        if path.startswith("/parts"):
            sock.sendall(CHUNKED)
            for part in (b"one", b"two", b"three"):
                gevent.sleep(0.02)
                sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            if path == "/parts-silent":
                gevent.sleep(60)
            if path != "/parts-cut":
                sock.sendall(b"no number\r\n\r\n" if path == "/parts-nonsense" else b"0\r\n\r\n")
        else:
            sock.sendall(ANSWERS.get(path, OK))
        served += 1
        if path in ENDS:
            return


server = StreamServer(("127.0.0.1", 0), serve)
server.start()
url = f"http://127.0.0.1:{server.server_port}"
event = EventHook()
event.add_listener(lambda **meta: fired.append(meta))


def session(base=url, **options):
    connections.clear(), heads.clear(), fired.clear()
    return LeanSession(base, event, **options)


def told(answer):
    error = answer.error and error_class(answer.error, answer.status_code)
    return [answer.status_code, answer.text[:8], error]


client = session()
for path in ("/", "/chunked", "/empty", "/continue", "/gzip", "/there"):
    found[path] = told(client.get(path))
found["head"] = told(client.request("HEAD", "/head"))
found["length unpacked"] = fired[4]["response_length"]
found["one connection"] = len(connections)
found["redirected to"] = heads[6].split("\r\n")[0]

client = session()
for path in ("/until-the-end", "/cut", "/nonsense", "/bad-gzip", "/fails", "/round"):
    found[path] = told(client.get(path))
found["not followed"] = told(client.get("/there", allow_redirects=False))
found["connections after failures"] = len(connections)

client = session()
found["closed"] = [told(client.get("/close")), told(client.get("/")), len(connections)]
client = session()
client.get("/leaves"), gevent.sleep(0.05)
found["left"] = [told(client.post("/", data="x")), len(connections)]
client = session()
client.get("/chatty"), gevent.sleep(0.05)
found["chatty"] = [told(client.get("/")), len(connections)]
client = session()
client.get("/only-first")
found["repeated"] = [told(client.get("/only-first")), len(connections)]
client = session()
client.get("/only-first")
found["not repeated"] = [told(client.post("/only-first", data="x")), len(connections)]
found["refused"] = told(session("http://127.0.0.1:1").get("/"))
turned = []
client = session("http://127.0.0.1:1")
client.standby = (url, lambda: turned.append(1))
found["turned"] = [told(client.post("/", data="x")), len(turned), fired[0]["url"] == url + "/", len(fired)]
client.standby = ("http://127.0.0.1:2", lambda: turned.append(2))
found["both refused"] = [told(client.get("/")), turned]
client = session()
client.standby = (url, lambda: turned.append(3))
client.get("/only-first")
found["not turned"] = [told(client.post("/only-first", data="x")), turned]

client = session()
client.post("/a b", json={"a": 1}, headers={"user-agent": "mine"}, name="named", context={"c": 1})
found["written"] = heads[0].split("\r\n")
found["event"] = {name: fired[0][name] for name in ("request_type", "name", "url", "context", "response_length", "exception")}
found["event time"] = fired[0]["response_time"]
session(url.replace("//", "//me:se%20cret@")).get("/")
found["login"] = [line for line in heads[0].split("\r\n") if line.startswith("Auth")]
for wrong in ({"A": "b\r\nC: d"}, {"A\nB": "c"}):
    try:
        session().get("/", headers=wrong)
    except ValueError as error:
        found.setdefault("refused to write", []).append(str(error))

client = session()
with client.get("/fails", catch_response=True) as answer:
    answer.success()
with client.get("/", catch_response=True) as answer:
    answer.failure("not good enough")
with client.get("/fails", catch_response=True) as answer:
    before = len(fired)
found["judged"] = [before, [repr(meta["exception"])[:20] for meta in fired]]

client = session()
with client.get("/parts", stream=True, catch_response=True) as answer:
    found["pieces"] = [piece.decode() for piece in answer.pieces()]
    found["fired before the end"] = len(fired)
with client.get("/parts", stream=True, catch_response=True) as answer:
    next(answer.pieces())
client.get("/")
found["a stream that was left"] = [len(connections), len(fired)]


def gathered(path):
    read, wrong = [], None
    with session().get(path, stream=True, catch_response=True) as answer:
        began = now()
        try:
            for piece in answer.pieces(lambda: True):
                read.append([piece.decode(), answer.read_at - began, now() - began])
        except Exception as error:
            wrong = error_class(error, 200)
        ended = answer.ended_at and answer.ended_at - began
    return {"read": read, "error": wrong, "ended": ended}


for path in ("/parts", "/parts-cut", "/parts-nonsense"):
    found["gathered " + path] = gathered(path)
with gevent.Timeout(0.1, TimeoutError("too long")):
    found["gathered, timed out"] = gathered("/parts-silent")
reader = gevent.spawn(gathered, "/parts-silent")
gevent.sleep(0.1)
before = now()
hand_over()
reader.kill(TimeoutError("the step is over"))
found["handed over"] = [now() - before, reader.get()]

if len(sys.argv) > 1:
    secure = StreamServer(("127.0.0.1", 0), serve, certfile=sys.argv[1], keyfile=sys.argv[2])
    secure.start()
    base = f"https://127.0.0.1:{secure.server_port}"
    client = session(base)
    found["tls"] = [told(client.get("/")), told(client.get("/parts")), len(connections)]
    with client.get("/parts", stream=True, catch_response=True) as answer:
        found["tls, patient"] = [piece.decode() for piece in answer.pieces(lambda: True)]
    answer = session(base, insecure=False).get("/")
    found["untrusted"] = [answer.status_code, type(answer.error).__name__]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Ask a client in a process of its own."""
    command = [sys.executable, "-c", ASK]
    if openssl := shutil.which("openssl"):
        folder = tmp_path_factory.mktemp("tls")
        command += map(str, _certificate(openssl, folder))
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stderr
    return dict(json.loads(asked.stdout.splitlines()[-1]))


def _certificate(openssl: str, folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, check=True)
    return certificate, key


def test_every_form_of_an_answer_is_read_over_one_connection(found: dict[str, Any]) -> None:
    assert found["/"] == found["/continue"] == found["/there"] == [200, "ok", None]
    assert found["/chunked"] == [200, "abcde", None]
    assert found["/empty"] == [204, "", None]
    assert found["/gzip"] == [200, "longlong", None]
    assert found["length unpacked"] == 400
    assert found["head"] == [200, "", None]
    assert found["one connection"] == 1
    assert found["redirected to"] == "GET /?a=b%20c HTTP/1.1"


def test_what_is_wrong_with_an_answer_is_told_by_its_class(found: dict[str, Any]) -> None:
    assert found["/until-the-end"] == [200, "all", None]
    assert found["/cut"] == [200, "", "reset"]
    assert found["/nonsense"] == [0, "", "malformed"]
    assert found["/bad-gzip"] == [200, "", "malformed"]
    assert found["/fails"] == [503, "sick", "http_5xx"]
    assert found["/round"] == [307, "", "aborted"]
    assert found["not followed"] == [302, "move", None]
    assert found["connections after failures"] == 4  # one for each of the first three, which end it
    assert found["refused"] == [0, "", "connect"]


def test_a_connection_that_ended_is_replaced_and_nothing_is_sent_twice_unless_it_may(
    found: dict[str, Any],
) -> None:
    assert found["closed"] == [[200, "ok", None], [200, "ok", None], 2]
    assert found["left"] == [[200, "ok", None], 2]
    assert found["chatty"] == [[200, "ok", None], 2]
    assert found["repeated"] == [[200, "ok", None], 2]
    assert found["not repeated"] == [[0, "", "reset"], 1]


def test_a_refused_connection_is_tried_once_at_the_next_copy_and_nothing_else_is(
    found: dict[str, Any],
) -> None:
    assert found["turned"] == [[200, "ok", None], 1, True, 1]
    assert found["both refused"] == [[0, "", "connect"], [1, 2]]
    assert found["not turned"] == [[0, "", "reset"], [1, 2]]  # the request may have been done


def test_a_request_is_written_as_asked_and_told_to_locust(found: dict[str, Any]) -> None:
    first, *fields = found["written"]
    assert first == "POST /a%20b HTTP/1.1"
    host, *rest = sorted(fields, key=lambda line: not line.startswith("Host"))
    assert host.startswith("Host: 127.0.0.1:")
    assert set(rest) == {
        "Accept-Encoding: gzip, deflate",
        "Content-Type: application/json",
        "Content-Length: 8",
        "user-agent: mine",
    }
    event = found["event"]
    assert event.pop("url").endswith("/a b")
    assert event == {
        "request_type": "POST",
        "name": "named",
        "context": {"c": 1},
        "response_length": 2,
        "exception": None,
    }
    assert 0 < found["event time"] < 1000
    assert found["login"] == ["Authorization: Basic bWU6c2UgY3JldA=="]  # me:se cret
    assert len(found["refused to write"]) == 2


def test_the_caller_judges_an_answer_in_its_block(found: dict[str, Any]) -> None:
    before, judged = found["judged"]
    assert before == 2  # the third is reported at the end of its block
    assert judged[0] == "None"
    assert judged[1].startswith("CatchResponseError")
    assert "503" in judged[2] or "BadStatus" in judged[2]


def test_a_stream_comes_in_pieces_and_may_be_left(found: dict[str, Any]) -> None:
    assert found["pieces"] == ["one", "two", "three"]
    assert found["fired before the end"] == 0
    assert found["a stream that was left"] == [2, 3]  # its connection is not used again


def test_certificates_are_checked_only_where_asked_for(found: dict[str, Any]) -> None:
    if "tls" not in found:
        pytest.skip("openssl is not installed: no certificate to serve with")
    assert found["tls"] == [[200, "ok", None], [200, "onetwoth", None], 1]
    assert found["untrusted"] == [0, "SSLCertVerificationError"]


def test_pieces_that_may_wait_come_together_with_the_times_at_which_they_came(
    found: dict[str, Any],
) -> None:
    told = found["gathered /parts"]
    pieces, came, seen = zip(*told["read"], strict=True)
    assert pieces == ("one", "two", "three")
    assert told["error"] is None
    for before, after in itertools.pairwise(came):
        assert 0.01 < after - before < 0.15  # the server pauses for 0.02 s
    assert max(seen) - min(seen) < 0.01  # all were looked at in one go
    assert came[-1] <= told["ended"] <= seen[0]


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("gathered /parts-cut", "reset"),
        ("gathered /parts-nonsense", "malformed"),
        ("gathered, timed out", "timeout"),
    ],
)
def test_what_came_before_an_answer_broke_off_is_read(
    found: dict[str, Any], case: str, error: str
) -> None:
    assert [piece for piece, _, _ in found[case]["read"]] == ["one", "two", "three"]
    assert found[case]["error"] == error
    assert found[case]["ended"] is None


def test_a_step_that_ends_gets_what_has_come_of_its_answers(found: dict[str, Any]) -> None:
    seconds, told = found["handed over"]
    assert seconds < 0.05
    assert [piece for piece, _, _ in told["read"]] == ["one", "two", "three"]
    assert max(seen for _, _, seen in told["read"]) < 0.25  # no later than they were asked for


def test_a_patient_reader_gets_pieces_over_tls_as_well(found: dict[str, Any]) -> None:
    if "tls, patient" not in found:
        pytest.skip("no openssl here")
    assert found["tls, patient"] == ["one", "two", "three"]
