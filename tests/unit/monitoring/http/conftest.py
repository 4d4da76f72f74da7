"""One application for all tests of a file: making it costs a quarter of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from escalade.monitoring.http.app import make_app
from escalade.monitoring.http.limits import Limits
from escalade.monitoring.sessions.service import MonitoringService

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "0123456789abcdef-only-for-tests"  # noqa: S105 - opens nothing
LIMITS = Limits(body_bytes=20_000, body_seconds=0.3, requests=4, wait_seconds=0.05)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> MonitoringService:
    return MonitoringService(tmp_path_factory.mktemp("api") / "monitor")


@pytest.fixture(scope="module")
def guarded(service: MonitoringService) -> Iterator[TestClient]:
    """Give a client that sends the token which its server has."""
    app = make_app(service, TOKEN, limits=LIMITS)
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.fixture(scope="module")
def local(service: MonitoringService) -> Iterator[TestClient]:
    """Give a client of a server on loopback without a token."""
    app = make_app(service, loopback_only=True, limits=LIMITS)
    with TestClient(app, base_url="http://127.0.0.1:8642") as client:
        yield client
