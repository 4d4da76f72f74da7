"""The head's application: sessions and nodes over HTTP, and what nodes write."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread
from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from escalade import __version__
from escalade.errors import EscaladeError
from escalade.monitoring.http import problems
from escalade.monitoring.http.gate import Gate
from escalade.monitoring.http.limits import Limits
from escalade.monitoring.http.page import operations_page
from escalade.monitoring.http.problems import Refusal
from escalade.monitoring.http.tokens import TokenHash
from escalade.profiler.head import told
from escalade.profiler.outputs import Format  # noqa: TC001 - FastAPI reads it

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from escalade.profiler.head.desk import HeadDesk
    from escalade.profiler.head.ingest import Ingest

T = TypeVar("T")
WRITE = "/api/v1/write"
LIMITS = Limits(body_bytes=64 << 20, requests=512)
_THREADS = 16
_ABOUT = "Sessions of the GPU profiler: begun, ended and exported, and the nodes that send."
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_CODES = {400: "malformed_body", 404: "no_such_page", 405: "method_not_allowed"}
_ADVICE = {
    "conflict": "GET /profiling/sessions lists the names that are taken, GET /clients the nodes.",
    "not_found": "GET /profiling/sessions lists the sessions.",
    "failed": "See the message; GET /status tells how the head is. The same request may be sent "
    "again.",
    "no_data": "GET /clients tells which nodes send; choose another window.",
}
_bearer = HTTPBearer(auto_error=False, description="Where the head has a token.")


def make_app(
    desk: HeadDesk, ingest: Ingest, token: str | None, *, loopback_only: bool = False
) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    desk
        Does the work.
    ingest
        Takes what nodes write.
    token
        That requests have to carry; None where none is needed.
    loopback_only
        Whether it is reached by names of loopback only.
    """

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        async with ingest:
            yield

    app = FastAPI(
        title="Escalade GPU profiler",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        responses=problems.COMMON,
        dependencies=[Security(_bearer)] if token is not None else [],
        lifespan=life,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    _add_sessions(app, desk)
    _add_nodes(app, desk, ingest)
    _add_pages(app)
    app.add_exception_handler(EscaladeError, _failed)
    app.add_exception_handler(RequestValidationError, _not_as_described)
    app.add_exception_handler(HTTPException, _refused)
    app.add_middleware(
        Gate,
        token=None if token is None else TokenHash(token),
        loopback_only=loopback_only,
        limits=LIMITS,
    )
    return app


async def _in_thread(work: Callable[[], T]) -> T:
    return await to_thread.run_sync(work, limiter=_limiter())


@functools.cache
def _limiter() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(_THREADS)


def _add_sessions(app: FastAPI, desk: HeadDesk) -> None:
    missing, taken = problems.ABSENT, problems.CONFLICT

    @app.get("/status", operation_id="status", tags=["Sessions"])
    async def status() -> told.Status:
        """Tell how the head is, and which sessions run."""
        return await _in_thread(desk.status)

    @app.post("/profiling/start", operation_id="start", tags=["Sessions"], responses=taken)
    async def start(asked: told.Start) -> told.SessionTold:
        """Begin a session; with times in the past, cut one out of what is stored."""
        return await _in_thread(lambda: desk.start(asked))

    @app.post("/profiling/stop", operation_id="stop", tags=["Sessions"], responses=missing)
    async def stop(asked: told.Stop) -> told.Stopped:
        """End one session or all, and write their files on the head's machine."""
        return await _in_thread(lambda: desk.stop(asked))

    @app.post("/profiling/resume", operation_id="resume", tags=["Sessions"], responses=missing)
    async def resume(asked: told.Resume) -> told.SessionTold:
        """Have a session go on as if it had not been ended."""
        return await _in_thread(lambda: desk.resume(asked))

    @app.get("/profiling/sessions", operation_id="sessions", tags=["Sessions"])
    async def sessions() -> told.Sessions:
        """Tell all sessions, by their start."""
        return await _in_thread(desk.sessions)

    @app.get(
        "/profiling/sessions/{name}/data",
        operation_id="data",
        tags=["Sessions"],
        responses=missing,
        response_class=FileResponse,
    )
    async def data(name: str, format: Format = "json") -> FileResponse:  # noqa: A002 - its name
        """Give the file of a session, up to now where it runs."""
        path = await _in_thread(lambda: desk.file(name, format))
        return FileResponse(path, filename=path.name)


def _add_nodes(app: FastAPI, desk: HeadDesk, ingest: Ingest) -> None:
    @app.get("/clients", operation_id="clients", tags=["Nodes"])
    async def clients() -> told.Clients:
        """Tell the nodes: who sends, since when nothing came."""
        return await _in_thread(desk.clients)

    @app.get("/metrics/latest", operation_id="latest", tags=["Nodes"])
    async def latest() -> told.Latest:
        """Tell what every GPU showed last."""
        return await _in_thread(desk.latest)

    @app.post(
        "/clients/connect", operation_id="connect", tags=["Nodes"], responses=problems.CONFLICT
    )
    async def connect(asked: told.Connect) -> told.Connected:
        """Take a node in, and tell it what to read how often."""
        return await _in_thread(lambda: desk.connect(asked))

    @app.post("/clients/leave", operation_id="leave", tags=["Nodes"])
    async def leave(asked: told.Leave) -> told.Done:
        """Take note that a node's agent ends."""
        return await _in_thread(lambda: desk.leave(asked))

    @app.post(WRITE, include_in_schema=False)
    async def write(request: Request) -> Response:
        code, words = await ingest.take(request)
        return Response(words, code, media_type="text/plain")


def _add_pages(app: FastAPI) -> None:
    @app.get("/", operation_id="about", tags=["Server"])
    async def about() -> told.About:
        """Tell what answers here."""
        paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
        listed = [f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs]
        return told.About(version=__version__, operations=listed)

    @app.get("/health", operation_id="health", tags=["Server"])
    async def health() -> told.Health:
        """Tell that the head answers, and its time; needs no token."""
        return told.Health(version=__version__, time=time.time())

    @functools.cache
    def page() -> str:
        return operations_page(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(), headers={"Content-Security-Policy": _PAGE_POLICY})

    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["paths"]["/health"]["get"]["security"] = []
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _answer(refusal: Refusal) -> JSONResponse:
    content = refusal.content()
    content["advice"] = _ADVICE.get(refusal.code, content["advice"])
    return JSONResponse(content, refusal.status, headers=refusal.headers)


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
        paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
        known = paths.get(request.scope["path"], {"get": None})
        headers["Allow"] = ", ".join(sorted(verb.upper() for verb in known))
    return _answer(Refusal(error.status_code, code, str(error.detail), headers=headers))
