"""What sessions have measured: collections, archives, queries."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from escalade.monitoring.http import stored, told, wanted
from escalade.monitoring.http.routes.shared import CHANGES, READS, Name, Session, TheDesk

router = APIRouter(prefix="/v1/sessions/{session}", tags=["Client2Monitor: measured"])


def _file(what: str) -> dict[int | str, dict[str, Any]]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {**READS, 200: {"description": what, "content": {"application/octet-stream": binary}}}


@router.post("/collections", operation_id="collect", status_code=201, responses=CHANGES)
async def collect(desk: TheDesk, session: Session, asked: wanted.NewCollection) -> told.Collected:
    """Write figures, raw samples and coverage of a window of time into the session's folder.

    The session has to run. Nothing is written where anything fails.
    """
    return await desk.change(lambda: stored.collect(desk.service, desk.folder(session), asked))


@router.get("/collections", operation_id="list_collections", responses=READS)
async def list_collections(desk: TheDesk, session: Session) -> told.Collections:
    """Name the collections of a session, with their files."""
    return await desk.ask(lambda: stored.collections(desk.folder(session)))


@router.get(
    "/collections/{name}/files/{file:path}",
    operation_id="fetch_collected",
    response_class=FileResponse,
    responses=_file("The file."),
)
async def fetch_collected(desk: TheDesk, session: Session, name: Name, file: str) -> FileResponse:
    """Give a file of a collection, by the name that it has there."""
    path = await desk.ask(lambda: stored.collected_file(desk.folder(session), name, file))
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@router.post("/archives", operation_id="archive_session", status_code=201, responses=CHANGES)
async def archive_session(
    desk: TheDesk, session: Session, asked: wanted.NewArchive
) -> told.Archive:
    """Write all data of a session into one file, for `escalade monitor open`."""
    return await desk.change(lambda: stored.archive(desk.service, desk.folder(session), asked.name))


@router.get("/archives", operation_id="list_archives", responses=READS)
async def list_archives(desk: TheDesk, session: Session) -> told.Archives:
    """Name the archives of a session."""
    return await desk.ask(lambda: stored.archives(desk.folder(session)))


@router.get(
    "/archives/{name}",
    operation_id="fetch_archive",
    response_class=FileResponse,
    responses=_file("The archive, a tar file compressed by Zstandard."),
)
async def fetch_archive(desk: TheDesk, session: Session, name: Name) -> FileResponse:
    """Give an archive."""
    path = await desk.ask(lambda: stored.archive_file(desk.folder(session), name))
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)


@router.post("/query", operation_id="query", responses=CHANGES)
async def query(desk: TheDesk, session: Session, asked: wanted.Question) -> told.Answer:
    """Have the session's Prometheus evaluate PromQL, at one moment or over a range."""
    return await desk.ask(lambda: stored.answer(desk.service, session, asked, desk.limits.samples))
