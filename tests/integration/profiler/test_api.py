"""The head's API does what its OpenAPI document says, and lets nobody in without the token."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.hooks import unregister

from profiling import Child, Rig, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKS = {
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
    # A session that is not there, a name that is taken, a window in the future: no schema says so.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422", "503"]},
    "negative_data_rejection": {
        "expected-statuses": ["400", "401", "404", "405", "409", "413", "422", "503"]
    },
}
OPERATIONS = {
    *("GET /", "GET /health", "GET /status", "GET /clients", "GET /metrics/latest"),
    *("GET /profiling/sessions", "GET /profiling/sessions/{name}/data"),
    *("POST /profiling/start", "POST /profiling/stop", "POST /profiling/resume"),
    *("POST /clients/connect", "POST /clients/leave"),
}


@pytest.fixture
def guarded(rig: Rig) -> Iterator[dict[str, str]]:
    """Start a head that wants its token; give the header."""

    @schemathesis.hook
    def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        """Have no stop wait for nodes that were only made up."""
        wait = case.body.get("wait_seconds") if isinstance(case.body, dict) else None
        if isinstance(wait, (int, float)) and 0 <= wait <= 60:
            case.body["wait_seconds"] = 0
        elif isinstance(case.body, dict) and "stop" in case.path and wait is None:
            case.body.setdefault("wait_seconds", 0)

    head = Child(
        *("start", "--port", str(rig.port), "--http-port", "0", "--data", str(rig.data)),
        *rig.options,
    )
    rig.children.append(head)
    head.until("The head is ready")
    yield {"Authorization": f"Bearer {(rig.data / 'token').read_text().strip()}"}
    unregister(before_call)


def asked(
    rig: Rig, headers: dict[str, str], phases: dict[str, Any]
) -> tuple[Counter[int], set[str]]:
    """Send what some phases of schemathesis make up; give the answers, and what was served."""
    settings = {"seed": 1, "headers": headers, "checks": CHECKS, "phases": phases}
    schema = schemathesis.openapi.from_url(
        f"http://{rig.address}/openapi.json", config=SchemathesisConfig.from_dict(settings)
    )
    answers: Counter[int] = Counter()
    served, failures = set(), []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for call in event.recorder.interactions.values():
                if call.response is not None:
                    answers[call.response.status_code] += 1
                    if call.response.status_code < 300:
                        served.add(event.recorder.label)
            failures += [
                f"{event.recorder.label}: {check.failure_info.failure}"
                for own in event.recorder.checks.values()
                for check in own
                if check.status == Status.FAILURE and check.failure_info is not None
            ]
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures.append(str(event))
    assert failures == [], "\n".join(failures)
    assert 500 not in answers
    return answers, served & OPERATIONS


def test_random_requests_are_answered_as_the_document_says(
    rig: Rig, guarded: dict[str, str]
) -> None:
    off = {"enabled": False}
    few = {"fuzzing": {"generation": {"max-examples": 3}}, "coverage": off, "stateful": off}

    answers, served = asked(rig, guarded, few)

    assert answers.total() > 25
    assert served


@pytest.mark.slow
def test_every_kind_of_wrong_request_is_too(rig: Rig, guarded: dict[str, str]) -> None:
    some = {"generation": {"max-examples": 5}}

    answers, served = asked(rig, guarded, {"fuzzing": some, "stateful": some})

    assert answers.total() > 200
    assert {200, 401, 404, 405, 422} <= set(answers)
    assert len(served) >= 8
    assert rig.children[0].process.poll() is None
    assert "Traceback" not in rig.children[0].said


def test_the_document_names_all_operations_and_each_wants_the_token(
    rig: Rig, guarded: dict[str, str]
) -> None:
    base = f"http://{rig.address}"
    document = requests.get(f"{base}/openapi.json", timeout=5).json()
    named = {f"{verb.upper()} {path}" for path, item in document["paths"].items() for verb in item}
    about = requests.get(f"{base}/", headers=guarded, timeout=5).json()

    assert named == OPERATIONS
    assert {*about["operations"]} == OPERATIONS
    for operation in OPERATIONS - {"GET /health"}:
        verb, path = operation.split()
        answer = requests.request(verb, base + path.replace("{name}", "x"), timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), operation
    written = requests.post(f"{base}/api/v1/write", data=b"x", timeout=5)
    assert written.status_code == 401


def test_hostile_requests_are_refused_in_one_shape(rig: Rig, guarded: dict[str, str]) -> None:
    base = f"http://{rig.address}"
    far = requests.get(
        f"{base}/profiling/sessions/..%2F..%2Ftoken/data", headers=guarded, timeout=5
    )
    name = requests.post(
        f"{base}/profiling/start", json={"name": "../../x"}, headers=guarded, timeout=5
    )
    large = requests.post(
        f"{base}/profiling/start", data=b"x" * (65 << 20), headers=guarded, timeout=30
    )
    nonsense = requests.post(f"{base}/api/v1/write", data=b"nonsense", headers=guarded, timeout=5)

    assert far.status_code == 404
    assert (name.status_code, name.json()["code"]) == (422, "unusable")
    assert large.status_code == 413
    assert 400 <= nonsense.status_code < 500
    for answer in (name, large):
        assert {"code", "message", "advice"} <= answer.json().keys()
    until(lambda: requests.get(f"{base}/health", timeout=5).status_code == 200)


def test_nothing_of_a_session_is_read_from_outside_its_folder(
    rig: Rig, guarded: dict[str, str], tmp_path: Path
) -> None:
    base = f"http://{rig.address}"
    begun = requests.post(
        f"{base}/profiling/start", json={"name": "one"}, headers=guarded, timeout=5
    )
    data = requests.get(f"{base}/profiling/sessions/one/data", headers=guarded, timeout=20)
    again = requests.post(
        f"{base}/profiling/start", json={"name": "one"}, headers=guarded, timeout=5
    )

    assert begun.json()["state"] == "running"
    assert data.json()["frames"] == []
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert "GET /profiling/sessions" in again.json()["advice"]
