"""The live view fits its screen, and shows what is missing as missing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from escalade.profiler.head.told import ClientTold, GpuTold, Latest, SessionTold, Status
from escalade.profiler.top import View, plain, sparkline

NOW = time.time()


def status(interval_ms: int = 100) -> Status:
    session = SessionTold(
        id="1", name="training", state="running", start_time=NOW, end_time=None,
        interval_ms=interval_ms, bandwidth=False, nvlink=False,
    )  # fmt: skip
    return Status(
        interval_ms=interval_ms, bandwidth=True, nvlink=True, database="ready", clients=2,
        healthy=1, sessions=[session],
    )  # fmt: skip


def client(node: str, *, healthy: bool = True, last: float | None = NOW) -> ClientTold:
    return ClientTold(
        node=node, healthy=healthy, left=False, last_sample=last, gpus=8,
        clock_offset_seconds=0.0, queue_bytes=0, rejected=0,
    )  # fmt: skip


def gpu(
    node: str = "alpha", number: int = 0, age: float = 0.1, at: float = NOW, **values: float
) -> GpuTold:
    return GpuTold(
        gpu_id=f"{node}:{number}:H100", node=node, gpu=number, name="H100", time=at,
        age_seconds=age, values=values,
    )  # fmt: skip


def screen(view: View, width: int = 120, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, force_terminal=False, record=True, file=None)
    with console.capture() as captured:
        console.print(view.drawn("node1:8090", width, height))
    return captured.get().splitlines()


def test_a_sparkline_has_blanks_where_nothing_was_seen() -> None:
    assert sparkline([0.0, 0.5, None, 1.0], 6) == "  ▁▅ █"
    assert sparkline([1.0] * 50, 3) == "███"
    assert sparkline([], 4) == "    "


def test_each_gpu_has_its_line_with_its_figures() -> None:
    view = View()
    figures = {
        "utilization_ratio": 0.5,
        "memory_used_bytes": 20 * 2**30,
        "memory_total_bytes": 80 * 2**30,
        "power_watts": 350.4,
        "temperature_celsius": 61,
        "pcie_received_bytes_per_second": 2.5e9,
        "pcie_sent_bytes_per_second": 1.2e9,
    }
    for at in (NOW, NOW + 0.1):
        view.show(status(), [client("alpha")], Latest(time=at, gpus=[gpu(at=at, **figures)]))

    (line,) = [line for line in screen(view) if line.startswith("alpha:0")]
    for words in ("50 %", "▅▅", "20.0 of 80", "350", "61", "2.50 / 1.20"):
        assert words in line
    assert "0.00" not in line, "NVLink is not known, which is not nothing"


def test_a_look_without_a_new_reading_leaves_a_blank_and_a_stale_gpu_its_age() -> None:
    view = View()
    for at, age in ((NOW, 0.1), (NOW, 0.4), (NOW + 1, 0.1)):
        view.show(status(), [], Latest(time=at, gpus=[gpu(at=at, age=age, utilization_ratio=1.0)]))
    assert "█ █" in "\n".join(screen(view))

    view.show(status(), [], Latest(time=NOW, gpus=[gpu(age=75, utilization_ratio=1.0)]))
    assert "75 s old" in "\n".join(screen(view))


def test_silent_nodes_and_a_lost_head_come_first_by_a_word() -> None:
    view = View()
    silent = client("beta", healthy=False, last=time.time() - 185)
    view.show(status(), [client("alpha"), silent], Latest(time=NOW, gpus=[gpu()]))
    view.lose("Connection refused", now=time.time() - 7)

    lines = screen(view)
    assert "The head has not answered for 7 s: Connection refused" in lines[1]
    assert "UNHEALTHY beta: nothing for 3 min" in lines[2]
    view.show(status(), [], Latest(time=NOW, gpus=[]))
    assert "not answered" not in "\n".join(screen(view))


def test_where_gpus_have_no_room_nodes_have_a_line_each() -> None:
    view = View()
    gpus = [
        gpu(node, number, utilization_ratio=number / 7, power_watts=100.0)
        for node in ("alpha", "beta")
        for number in range(8)
    ]
    view.show(status(), [], Latest(time=NOW, gpus=gpus))

    assert len([line for line in screen(view, height=40) if ":" in line[:7]]) == 16
    lines = screen(view, height=12)
    (line,) = [line for line in lines if line.startswith("beta")]
    for words in ("8", "50 %", "0 %", "100 %", "▁", "█", "800"):
        assert words in line
    assert len(lines) <= 12


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30
)
shares = st.floats(0, 1) | st.none()


@given(
    st.lists(st.tuples(texts, shares), max_size=30),
    st.sampled_from([40, 80, 160]),
    st.integers(8, 60),
)
@settings(deadline=None, max_examples=60)
def test_nothing_is_wider_than_the_screen(
    found: list[tuple[str, float | None]], width: int, height: int
) -> None:
    view = View()
    gpus = [
        gpu(name, place, **({} if use is None else {"utilization_ratio": use, "power_watts": 99.0}))
        for place, (name, use) in enumerate(found)
    ]
    view.show(
        status(),
        [client(name, healthy=False) for name, _ in found[:2]],
        Latest(time=NOW, gpus=gpus),
    )

    assert all(cell_len(line) <= width for line in screen(view, width, height))


def test_without_a_screen_there_is_a_line() -> None:
    told = Latest(time=NOW, gpus=[gpu(utilization_ratio=0.25, power_watts=100.0), gpu(number=1)])

    assert plain(told).endswith("2 GPUs, 25 % in use, 100 W")
    assert plain(Latest(time=NOW, gpus=[gpu()])).endswith("1 GPUs, use not known")


@pytest.mark.parametrize("width", [40, 80, 160])
def test_an_empty_head_says_that_nothing_was_read(width: int) -> None:
    view = View()
    view.show(status(), [], Latest(time=NOW, gpus=[]))

    assert "No GPU has been read yet." in "\n".join(screen(view, width))
