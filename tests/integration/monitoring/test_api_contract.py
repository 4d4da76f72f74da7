"""What the API says of itself, in OpenAPI, is what it does: random requests, right and wrong ones."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.hooks import unregister

from escalade.monitoring.http.app import make_app
from escalade.monitoring.http.limits import Limits
from escalade.monitoring.http.wanted import SESSION
from escalade.monitoring.sessions.service import MonitoringService
from escalade.runtime import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "a-token-for-the-contract"  # noqa: S105 - opens nothing
CONFIGURATION: dict[str, Any] = {
    "seed": 1,
    "headers": {"Authorization": f"Bearer {TOKEN}"},
    "checks": {
        # A port that is taken, no Slurm: what fails around the server is 503, and said to be.
        "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
        # Not all that is refused can be said by a schema: an expression without meaning, a client
        # that is not connected. That what is right is taken, other tests show.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "404", "409", "422", "503"]},
        "negative_data_rejection": {
            "expected-statuses": ["400", "401", "404", "405", "409", "413", "422", "503"]
        },
    },
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[MonitoringService]:
    for tool in ("prometheus", "promtool", "node_exporter"):
        tools.ensure(tool)
    made = MonitoringService(tmp_path / "monitor")

    @schemathesis.hook
    def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        """Ask mostly for a session that is there: others have one answer only."""
        session = str(case.path_parameters.get("session", ""))
        if re.fullmatch(SESSION, session) and sum(session.encode()) % 4:
            if "bench01" not in made.sessions():
                made.create("bench01")
            case.path_parameters["session"] = "bench01"

    yield made
    unregister(before_call)
    for session in made.sessions():
        made.delete(session, force=True)


def asked(service: MonitoringService, phases: dict[str, Any]) -> tuple[Counter[int], set[str]]:
    """Send what some phases of schemathesis make up; give the answers, and what was served.

    Fails where an answer is none of those that the document has.
    """
    app = make_app(service, TOKEN, limits=Limits(wait_seconds=0.1))
    configuration = SchemathesisConfig.from_dict(CONFIGURATION | {"phases": phases})
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=configuration)
    answers: Counter[int] = Counter()
    served, failures = set(), []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for call in event.recorder.interactions.values():
                if call.response is not None:
                    answers[call.response.status_code] += 1
                    if call.response.status_code < 300:
                        served.add(event.recorder.label)
            checks = [it for own in event.recorder.checks.values() for it in own]
            failures += [
                f"{event.recorder.label}: {check.failure_info.failure}"
                for check in checks
                if check.status == Status.FAILURE and check.failure_info is not None
            ]
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures.append(str(event))

    assert failures == []
    assert 500 not in answers
    assert len(operations(app.openapi())) == 20
    return answers, served & operations(app.openapi())


def operations(document: dict[str, Any]) -> set[str]:
    paths: dict[str, dict[str, Any]] = document["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


def test_random_requests_are_answered_as_the_document_says(service: MonitoringService) -> None:
    off = {"enabled": False}
    few = {"fuzzing": {"generation": {"max-examples": 3}}, "coverage": off, "stateful": off}

    answers, served = asked(service, few)

    assert answers.total() > 60
    assert served


@pytest.mark.slow
def test_every_kind_of_wrong_request_is_too(service: MonitoringService) -> None:
    some = {"generation": {"max-examples": 4}}

    answers, served = asked(service, {"fuzzing": some, "stateful": some})

    assert answers.total() > 400
    assert {200, 201, 401, 404, 405, 409, 422} <= set(answers)
    assert len(served) > 10
