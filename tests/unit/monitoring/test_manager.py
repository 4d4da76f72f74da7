"""The manager believes what Prometheus shows, not that a call went well."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring import manager
from escalade.monitoring.prometheus_state import PrometheusState
from escalade.monitoring.registry import Registry, Target
from escalade.monitoring.renderer import render

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import StandIn

NODE = Target("node", "127.0.0.1:9100")
LLM = Target("llm", "127.0.0.1:8000", "/m")


def state(folder: Path, url: str) -> PrometheusState:
    (folder / "prometheus.yml").write_text("old: true\n")
    (folder / "log").write_text("level=error msg=hopeless\n")
    files = [str(folder / name) for name in ("prometheus.yml", "data", "log")]
    return PrometheusState(url, 1, "2.42.0", *files, 1.0)


def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def target(wanted: Target, health: str, error: str = "") -> dict[str, Any]:
    return {
        "discoveredLabels": {
            "job": wanted.job,
            "__address__": wanted.address,
            "__metrics_path__": wanted.path,
        },
        "labels": {},
        "health": health,
        "lastError": error,
    }


def answer(data: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"status": "success", "data": data}).encode()


def test_await_up_names_each_target_that_is_down_with_the_reason(
    stand_in: StandIn, tmp_path: Path
) -> None:
    other = Target("gpu", "127.0.0.1:9400")
    active = [target(NODE, "up"), target(LLM, "down", "connection refused")]
    stand_in.answer = lambda *_: answer({"activeTargets": active})

    with pytest.raises(InfrastructureError) as caught:
        manager.await_up(state(tmp_path, stand_in.url), Registry([NODE, LLM, other]), 0.05)

    assert "2 of 3 targets are not up after 0.05 s" in str(caught.value)
    assert "llm (http://127.0.0.1:8000/m): connection refused" in str(caught.value)
    assert "gpu (http://127.0.0.1:9400/metrics): not known to Prometheus yet" in str(caught.value)
    assert "node (" not in str(caught.value)


def test_await_up_waits_for_a_target_that_comes_late(stand_in: StandIn, tmp_path: Path) -> None:
    states = [
        [],
        [target(NODE, "unknown")],
        [target(NODE, "down", "refused")],
        [target(NODE, "up")],
    ]
    stand_in.answer = lambda *_: answer({"activeTargets": states.pop(0)})

    assert manager.await_up(state(tmp_path, stand_in.url), Registry([NODE]), 5) < 5
    assert states == []


def test_a_target_of_another_job_does_not_count(stand_in: StandIn, tmp_path: Path) -> None:
    active = [target(Target("host", NODE.address), "up")]
    stand_in.answer = lambda *_: answer({"activeTargets": active})

    with pytest.raises(InfrastructureError, match="1 of 1 targets"):
        manager.await_up(state(tmp_path, stand_in.url), Registry([NODE]), 0)


def test_await_up_of_a_dead_prometheus_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"(?s)Connection refused.*msg=hopeless"):
        manager.await_up(state(tmp_path, dead_url()), Registry([NODE]), 5)


def test_a_reload_that_changes_nothing_is_an_error_and_puts_the_old_file_back(
    stand_in: StandIn, tmp_path: Path
) -> None:
    def reply(path: str, _: dict[str, str]) -> tuple[int, bytes]:
        return (200, b"") if path == "/-/reload" else answer({"yaml": render(Registry())})

    stand_in.answer = reply

    with pytest.raises(InfrastructureError, match="goes on with another configuration"):
        manager.reload(state(tmp_path, stand_in.url), Registry([NODE]))
    assert (tmp_path / "prometheus.yml").read_text() == "old: true\n"


def test_a_reload_is_believed_when_the_live_configuration_says_more(
    stand_in: StandIn, tmp_path: Path
) -> None:
    registry = Registry([NODE, LLM])
    live = render(registry).replace("- job_name", "- scheme: http\n  job_name")
    stand_in.answer = lambda path, _: (200, b"") if path == "/-/reload" else answer({"yaml": live})

    manager.reload(state(tmp_path, stand_in.url), registry)

    assert (tmp_path / "prometheus.yml").read_text() == render(registry)


@pytest.mark.parametrize(
    "yaml", ["", "global: {}", "[]", "text", "scrape_configs: [7, 8]", "a: [b"]
)
def test_a_strange_live_configuration_is_not_believed(
    stand_in: StandIn, tmp_path: Path, yaml: str
) -> None:
    stand_in.answer = lambda path, _: (200, b"") if path == "/-/reload" else answer({"yaml": yaml})

    with pytest.raises(InfrastructureError, match="goes on with another configuration"):
        manager.reload(state(tmp_path, stand_in.url), Registry([NODE, LLM]))


def test_an_archive_of_a_dead_prometheus_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"(?s)could not be archived.*msg=hopeless"):
        manager.archive(state(tmp_path, dead_url()), tmp_path / "tsdb.tar.zst")
    assert not (tmp_path / "tsdb.tar.zst").exists()


def test_a_snapshot_that_is_not_here_is_an_error(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.answer = lambda *_: answer({"name": "2026"})

    with pytest.raises(InfrastructureError, match=r"snapshots/2026 could not be archived"):
        manager.archive(state(tmp_path, stand_in.url), tmp_path / "tsdb.tar.zst")


def test_a_state_survives_its_file_and_names_what_it_lacks(tmp_path: Path) -> None:
    known = state(tmp_path, "http://h:1")

    assert PrometheusState.from_json(json.loads(json.dumps(known.to_json()))) == known
    with pytest.raises(InputError, match="lacks url, pid"):
        PrometheusState.from_json({"version": "1", "config": "c"})
