"""The client asks in bounded pieces, tells no data from zero, and names each failure."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.monitoring import client as client_module
from escalade.monitoring import faults
from escalade.monitoring.client import PrometheusClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import StandIn

EMPTY = (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}')
TOO_MANY = (
    422,
    (
        b'{"status":"error","errorType":"execution",'
        b'"error":"query processing would load too many samples into memory"}'
    ),
)
REFUSED = (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}')
PATIENT = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def client(stand_in: StandIn) -> PrometheusClient:
    return PrometheusClient(stand_in.url, timeout=5)


def vector(*values: str) -> tuple[int, bytes]:
    entries = ",".join(
        f'{{"metric":{{"n":"{i}"}},"value":[1,"{v}"]}}' for i, v in enumerate(values)
    )
    return 200, (
        f'{{"status":"success","data":{{"resultType":"vector","result":[{entries}]}}}}'
    ).encode()


def answering(*answers: Any) -> Callable[..., Any]:
    """Give the answers one after the other, the last one for ever."""
    left = list(answers)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


@PATIENT
@given(
    stamps=st.lists(st.integers(0, 60_000), unique=True, max_size=40).map(sorted),
    start=st.integers(0, 59_999),
    length=st.integers(1, 60_000),
    left_open=st.booleans(),
)
def test_raw_samples_are_exactly_those_of_the_half_open_window(
    *,
    stand_in: StandIn,
    client: PrometheusClient,
    monkeypatch: pytest.MonkeyPatch,
    stamps: list[int],
    start: int,
    length: int,
    left_open: bool,
) -> None:
    monkeypatch.setattr(client_module, "_SAMPLES_PER_ANSWER", 5)
    base = 1_790_000_000_000
    points = [(base + stamp, float(stamp)) for stamp in stamps]
    stand_in.samples = {"up": [({"__name__": "up"}, points)]}
    stand_in.left_open = left_open  # as Prometheus 3

    frame = client.raw_samples("up", (base + start) / 1000, (base + start + length) / 1000)

    inside = [float(stamp) for stamp in stamps if start <= stamp < start + length]
    assert frame["value"].tolist() == inside


def test_raw_samples_keep_the_timestamps_of_the_scrapes(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.samples = {"up": [({"__name__": "up"}, [(1_790_000_000_123, 1.0)])]}

    frame = client.raw_samples("up", 1_790_000_000, 1_790_000_001)

    assert frame["timestamp"].tolist() == [1_790_000_000.123]


def test_pieces_shrink_where_samples_are_dense(
    stand_in: StandIn, client: PrometheusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_SAMPLES_PER_ANSWER", 20)
    base = 1_790_000_000_000
    points = [(base + 100 * tick, float(tick)) for tick in range(1000)]
    stand_in.samples = {"up": [({"__name__": "up"}, points)]}

    frame = client.raw_samples("up", base / 1000, base / 1000 + 100)

    assert frame["value"].tolist() == [float(tick) for tick in range(1000)]
    lengths = [int(form["query"].split("[")[1][:-3]) for _, form in stand_in.asked]
    assert lengths[0] == 10_001
    assert max(lengths[4:]) < 4_000  # 20 samples are 2 s


def test_a_piece_that_is_too_large_is_halved(stand_in: StandIn, client: PrometheusClient) -> None:
    stand_in.answer = answering(TOO_MANY, TOO_MANY, EMPTY)

    client.raw_samples("up", 1000, 1010)

    lengths = [form["query"] for _, form in stand_in.asked[:3]]
    assert lengths == ["up[10001ms]", "up[5001ms]", "up[2501ms]"]


def test_a_second_that_is_too_large_is_an_error(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering(TOO_MANY)

    with pytest.raises(faults.TooLargeError, match="too many samples"):
        client.raw_samples("up", 1000, 1010)


@pytest.mark.parametrize("window", [(5.0, 5.0), (6.0, 5.0), (float("nan"), 5.0), (0, float("inf"))])
def test_an_empty_window_is_refused(client: PrometheusClient, window: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="expected start < end"):
        client.raw_samples("up", *window)


def test_no_data_is_none_or_an_empty_frame_and_never_zero(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering(vector())

    assert client.value("sum(nothing)") is None
    assert client.instant("nothing").empty
    stand_in.answer = answering(EMPTY)
    assert client.raw_samples("nothing", 1, 2).empty
    assert client.range("nothing", 1, 2, 1).empty


def test_one_value_is_a_number_and_several_are_refused(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering(vector("2.5"), vector("1", "2"))

    assert client.value("up") == 2.5
    with pytest.raises(faults.BadQueryError, match="has 2 values"):
        client.value("up")


def test_long_ranges_are_asked_for_on_one_grid_in_pieces(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering(EMPTY)

    client.range("up", 1000.0004, 26_000.5, 1)

    pieces = [(form["start"], form["end"]) for _, form in stand_in.asked]
    assert pieces == [
        ("1000.000", "10999.000"),
        ("11000.000", "20999.000"),
        ("21000.000", "26000.000"),
    ]


def test_absurdly_long_ranges_are_refused_before_asking(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    with pytest.raises(faults.TooManyPointsError, match=r"1,000,001 steps.*longer step"):
        client.range("up", 0, 1000, 0.001)
    with pytest.raises(InputError, match=r"step of 0.001 s or more"):
        client.range("up", 0, 1, 0)
    assert stand_in.asked == []


def test_connection_errors_are_retried_and_then_reported(stand_in: StandIn) -> None:
    stand_in.answer = answering(None)

    with pytest.raises(faults.UnreachableError, match=stand_in.url):
        PrometheusClient(stand_in.url, retries=2).value("up")

    assert len(stand_in.asked) == 3


def test_a_lost_connection_is_forgiven_once(stand_in: StandIn, client: PrometheusClient) -> None:
    stand_in.answer = answering(None, vector("1"))

    assert client.value("up") == 1


def test_answers_that_say_no_are_not_retried(stand_in: StandIn, client: PrometheusClient) -> None:
    stand_in.answer = answering(REFUSED)

    with pytest.raises(faults.BadQueryError, match=r"query 'up\(': Prometheus says: parse error"):
        client.value("up(")

    assert len(stand_in.asked) == 1


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = PrometheusClient(f"http://127.0.0.1:{port}", retries=0)

    with pytest.raises(faults.UnreachableError, match="Connection refused"):
        client.value("up")
    assert not client.ready()


def test_silence_is_a_timeout_and_not_retried(stand_in: StandIn) -> None:
    release = threading.Event()
    stand_in.answer = lambda *_: release.wait(5) and None

    with pytest.raises(faults.QueryTimeoutError, match=r"within 0.1 s"):
        PrometheusClient(stand_in.url, timeout=0.1).value("up")

    release.set()
    assert len(stand_in.asked) == 1


def test_an_answer_that_trickles_is_a_timeout() -> None:
    def trickle(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                try:
                    connection.sendall(b"1\r\n \r\n")
                except OSError:
                    return
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(faults.QueryTimeoutError):
            PrometheusClient(url, timeout=0.2).value("up")
        thread.join()


def test_proxies_of_the_environment_are_not_used(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    stand_in.answer = answering(vector("1"))

    assert PrometheusClient(stand_in.url, retries=0).value("up") == 1


@pytest.mark.parametrize("url", ["", "127.0.0.1:9090", "ftp://host", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is no URL of a Prometheus"):
        PrometheusClient(url)


def test_targets_without_their_fields_are_malformed(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering((200, b'{"status":"success","data":{"activeTargets":[{}]}}'))

    with pytest.raises(faults.MalformedAnswerError, match="discoveredLabels"):
        client.targets()


def test_a_refused_reload_says_that_the_old_configuration_stays(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering((500, b"failed to reload config: yaml: line 3"))

    with pytest.raises(faults.BadQueryError, match=r"keeps its old configuration: .*line 3"):
        client.reload()


def test_lifecycle_calls_that_are_switched_off_say_so(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering((403, b"Lifecycle API is not enabled."))

    for call in (client.reload, client.quit):
        with pytest.raises(faults.PrometheusError, match="HTTP 403: Lifecycle API is not enabled"):
            call()


def test_a_range_that_is_too_large_is_asked_for_in_halves(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering(TOO_MANY, EMPTY)

    client.range("up", 1000, 1009, 1)

    pieces = [(form["start"], form["end"]) for _, form in stand_in.asked]
    assert pieces == [
        ("1000.000", "1009.000"),
        ("1000.000", "1004.000"),
        ("1005.000", "1009.000"),
    ]


def test_one_moment_that_is_too_large_is_an_error(
    stand_in: StandIn, client: PrometheusClient
) -> None:
    stand_in.answer = answering(TOO_MANY)

    with pytest.raises(faults.TooLargeError):
        client.range("up", 1000, 1009, 1)


def test_raw_samples_come_in_pieces_that_join_to_the_window(
    stand_in: StandIn, client: PrometheusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_SAMPLES_PER_ANSWER", 7)
    base = 1_790_000_000_000
    labels = [{"__name__": "up", "n": str(n)} for n in range(2)]
    stand_in.samples = {
        "up": [(own, [(base + 500 * k, float(k)) for k in range(60)]) for own in labels]
    }

    pieces = list(client.raw_pieces("up", base / 1000, base / 1000 + 30))

    assert sum(map(len, pieces)) == 120
    assert max(map(len, pieces[2:])) < 30  # the first one is 10 s, whatever it holds
    values = [
        value
        for piece in pieces
        for track in piece.tracks()
        if track.labels == '{"n":"1"}'
        for value in track.values.tolist()
    ]
    assert values == [float(k) for k in range(60)]
    table = pieces[0].table()
    assert table.column_names == ["metric", "labels", "timestamp", "value"]
    assert table.to_pandas()["value"].tolist() == pieces[0].frame()["value"].tolist()
