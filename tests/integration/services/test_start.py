"""Starting services: what becomes ready, what does not, and what is left of it."""

from __future__ import annotations

import contextlib
import http.server
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
import yaml

from escalade.errors import InfrastructureError, InputError, ServiceFailedError
from escalade.services import loader, starting
from escalade.services.recipes import Recipe
from escalade.services.templates import Argument
from escalade.services.validation import validated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Place

LISTEN = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port={port}, bind='{host}')"


class Stranger(http.server.BaseHTTPRequestHandler):
    """Answers everything, as the wrong server would."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def service(script: str, timeout: float = 20.0, **more: Any) -> Recipe:
    """Make a recipe whose service is a line of Python."""
    content: dict[str, Any] = {
        "name": "own",
        "description": "A service made for a test",
        "version": {"distribution": "escalade"},
        "command": ["{python}", "-c", script],
        "probe": {"path": "/", "timeout_seconds": timeout},
        "workload": {"kind": "plain_http"},
        **more,
    }
    return validated(Recipe, content, "own.yaml")


def failure(place: Place, recipe: Recipe | str, **changes: Any) -> ServiceFailedError:
    with pytest.raises(ServiceFailedError) as caught:
        place.start(recipe, **changes)
    assert not place.service_runs
    return caught.value


def test_any_http_service_can_be_started_and_stopped(place: Place, tmp_path: Path) -> None:
    state = place.start(service(LISTEN))
    process = psutil.Process(state["replicas"][0]["pid"])

    assert state["url"].startswith("http://127.0.0.1:")
    assert (state["metrics_path"], state["metric_names"], state["agreement"]) == (None, {}, None)
    assert state["service"]["models"] == []
    assert state["service"]["binary"]["path"] == sys.executable
    assert len(state["service"]["binary"]["sha256"]) == 64
    assert state["service"]["memory"]["declared_bytes"] is None
    assert state["service"]["memory"]["measured_bytes"] > 1_000_000
    place.stop()
    assert not process.is_running()


def test_a_service_that_dies_during_its_start_is_told_with_code_and_log(place: Place) -> None:
    script = "for n in range(30): print('line', n, flush=True)\nraise SystemExit(7)"

    failed = failure(place, service(script))

    assert failed.cause == "the service exited with code 7 while it started"
    assert failed.log_tail == [f"line {number}" for number in range(10, 30)]


def test_a_service_that_is_killed_during_its_start_is_told_with_the_signal(place: Place) -> None:
    failed = failure(place, service("import os; os.kill(os.getpid(), 11)"))

    assert failed.cause == "the service was killed by SIGSEGV while it started"


def test_a_service_that_is_never_ready_is_stopped_after_its_time(place: Place) -> None:
    script = "print('loading', flush=True); import time; time.sleep(600)"
    start = time.monotonic()

    failed = failure(place, service(script), ready_timeout_seconds=0.5)

    assert failed.cause.startswith("the service was not ready within 0.5 s: GET / gave ")
    assert failed.log_tail == ["loading"]
    assert time.monotonic() - start < 10


def test_a_missing_model_file_is_told_before_anything_starts(place: Place, tmp_path: Path) -> None:
    head = {"name": "head", "bucket": "cpu", "declared_megabytes": 1, "source": {"path": "x.gguf"}}
    content = {"models": [head], "profiles": {"here": {"memory_megabytes": 9, "device": "cpu"}}}
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(content))
    catalogue = loader.load_catalogue(tmp_path / "models.yaml")

    with pytest.raises(InputError, match="the file of model head can't be used"):
        place.start("llama_cpp", catalogue=catalogue, profile="here", models=["head"])

    assert not place.log.exists()


def test_a_damaged_model_file_fails_the_service_with_its_own_words(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + bytes(1000))
    head = {"name": "head", "bucket": "cpu", "declared_megabytes": 1, "source": {"path": "x.gguf"}}
    content = {"models": [head], "profiles": {"here": {"memory_megabytes": 9, "device": "cpu"}}}
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(content))
    catalogue = loader.load_catalogue(tmp_path / "models.yaml")

    failed = failure(place, "llama_cpp", catalogue=catalogue, profile="here", models=["head"])

    assert failed.cause == "the service exited with code 3 while it started"
    assert failed.log_tail[-1].startswith("llama_server: error: llama.cpp did not start")


@pytest.fixture
def taken() -> Iterator[int]:
    with contextlib.closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_port_that_was_taken_in_between_costs_another_try(
    place: Place, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, given = starting.free_port, []

    def first_taken(host: str) -> int:
        given.append(real(host) if given else taken)
        return int(given[-1])

    monkeypatch.setattr(starting, "free_port", first_taken)
    state = place.start(service(LISTEN))

    assert len(given) == 2
    assert state["url"].endswith(f":{given[1]}")


def test_after_three_taken_ports_the_service_has_failed(
    place: Place, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "free_port", lambda _: taken)

    failed = failure(place, service(LISTEN))

    assert "found its port taken 3 times" in failed.cause
    assert "Address already in use" in failed.log_tail[-1]


def test_a_stranger_on_the_port_is_not_taken_for_the_service(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        ports = iter([stranger.server_port])
        real = starting.free_port
        monkeypatch.setattr(starting, "free_port", lambda host: next(ports, None) or real(host))
        state = place.start(service(LISTEN))
        stranger.shutdown()

    assert not state["url"].endswith(f":{stranger.server_port}")


def test_a_program_that_can_not_be_executed_is_no_result_of_the_service(place: Place) -> None:
    recipe = service("").model_copy(update={"command": (Argument(words=("/no/such/program",)),)})

    with pytest.raises(InfrastructureError, match="/no/such/program"):
        place.start(recipe)


def test_the_truth_server_is_ready_after_its_delay(place: Place) -> None:
    state = place.start("truth_server", parameters={"start_delay_seconds": 0.5})

    assert state["service"]["ready_seconds"] > 0.5
    assert state["agreement"] == {"quantity": "output_tokens", "metric": "truth_tokens_total"}
    page = requests.get(f"{state['url']}{state['metrics_path']}", timeout=10).text
    assert all(f"\n{raw} 0" in page for raw in state["metric_names"].values())


def test_the_truth_server_is_never_ready_when_told_so(place: Place) -> None:
    failed = failure(
        place, "truth_server", parameters={"never_ready": True}, ready_timeout_seconds=1.0
    )

    assert "not ready within 1 s: GET /health gave 503" in failed.cause


def test_a_service_that_dies_later_is_seen_in_the_state_of_its_step(place: Place) -> None:
    state = place.start("truth_server", parameters={"die_after_requests": 1})
    ask = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}

    requests.post(f"{state['url']}/v1/chat/completions", json=ask, timeout=10)
    with contextlib.suppress(requests.ConnectionError):
        requests.post(f"{state['url']}/v1/chat/completions", json=ask, timeout=10)

    ended = place.until_ended()
    assert ended.describe() == "exited with code 3"


def test_llama_cpp_ends_at_once_when_asked_even_with_requests_in_work(place: Place) -> None:
    state = place.start("llama_cpp", parameters={"slots": 2})
    ask = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 300, "ignore_eos": True}

    with contextlib.suppress(requests.ReadTimeout):
        requests.post(f"{state['url']}/v1/chat/completions", json=ask, timeout=0.3)
    place.stop()

    # SIGKILL would follow three seconds after SIGTERM.
    assert place.until_ended().describe() == "was killed by SIGTERM"


def test_settings_that_belong_to_the_measurement_are_recorded_and_no_other_variables(
    place: Place,
) -> None:
    variables = {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:128", "KEY": "secret"}

    state = place.start(service(LISTEN, environment=variables))

    assert state["service"]["environment"] == {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:128"}
