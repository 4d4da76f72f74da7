"""The application: operations of the monitoring service, behind a gate, with one kind of refusal."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from escalade import __version__
from escalade.errors import EscaladeError
from escalade.monitoring.http import problems, told
from escalade.monitoring.http.desk import Desk
from escalade.monitoring.http.gate import Gate
from escalade.monitoring.http.limits import Limits
from escalade.monitoring.http.page import operations_page
from escalade.monitoring.http.problems import Refusal
from escalade.monitoring.http.routes import measured, registry, sessions
from escalade.monitoring.http.tokens import TokenHash

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from escalade.monitoring.http.wanted import SlurmJob
    from escalade.monitoring.sessions.life import JobWish
    from escalade.monitoring.sessions.service import MonitoringService

_ABOUT = """Sessions of Prometheus: made, started, watched, collected, stopped and deleted by \
programs, by the interfaces Client2Monitor and ClientService2Monitor."""
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_CODES = {
    400: "malformed_body",
    404: "no_such_page",
    405: "method_not_allowed",
}
_bearer = HTTPBearer(auto_error=False, description="Where the server has a token.")


def make_app(
    service: MonitoringService,
    token: str | None = None,
    *,
    loopback_only: bool = False,
    limits: Limits | None = None,
    job_wish: Callable[[SlurmJob], JobWish] | None = None,
) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    service
        Does the work.
    token
        That requests have to carry; only its hash is kept. None where none is needed.
    loopback_only
        Whether it is reached by names of loopback only; others are refused then.
    limits
        How much it takes at once.
    job_wish
        Turns what a request says of a Slurm job into what Slurm is asked for.

    Raises
    ------
    InputError
        When the token is too short.
    """
    desk = Desk(service, limits or Limits(), job_wish)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        desk.open()
        yield

    app = FastAPI(
        title="Escalade monitoring",
        version=__version__,
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        responses=problems.COMMON,
        dependencies=[Security(_bearer)] if token is not None else [],
        lifespan=life,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.desk = desk
    for router in (sessions.router, registry.clients, registry.services, measured.router):
        app.include_router(router)
    app.add_exception_handler(EscaladeError, _failed)
    app.add_exception_handler(RequestValidationError, _not_as_described)
    app.add_exception_handler(HTTPException, _refused)
    _add_open_pages(app)
    app.add_middleware(
        Gate,
        token=None if token is None else TokenHash(token),
        loopback_only=loopback_only,
        limits=desk.limits,
    )
    return app


def _add_open_pages(app: FastAPI) -> None:
    """Add what can be read without a token."""

    async def health() -> told.Health:
        """Tell that the server answers; needs no token."""
        return told.Health(version=__version__)

    @functools.cache
    def page() -> str:
        return operations_page(app.openapi())

    async def docs() -> HTMLResponse:
        return HTMLResponse(page(), headers={"Content-Security-Policy": _PAGE_POLICY})

    app.add_api_route("/health", health, operation_id="health", tags=["Server"])
    app.add_api_route("/docs", docs, include_in_schema=False)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["paths"]["/health"]["get"]["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _answer(refusal: Refusal) -> JSONResponse:
    return JSONResponse(refusal.content(), refusal.status, headers=refusal.headers)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, EscaladeError)  # noqa: S101 - as it was registered
    return _answer(problems.of_error(error))


async def _not_as_described(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as it was registered
    return _answer(problems.of_fields(error.errors()))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as it was registered
    code = _CODES.get(error.status_code, "unusable")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return _answer(Refusal(error.status_code, code, str(error.detail), headers=headers))


def _methods(request: Request) -> list[str]:
    """Give all methods of a path: several operations may share it."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    return sorted(
        method.upper()
        for path, operations in paths.items()
        if compile_path(path)[0].fullmatch(request.scope["path"])
        for method in operations
    )
