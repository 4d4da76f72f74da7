"""The life of sessions: make, start, look at, stop, delete."""

import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Query

from escalade.errors import AbsentError, InputError
from escalade.monitoring.http import told, wanted
from escalade.monitoring.http.problems import CONFLICT
from escalade.monitoring.http.routes.shared import CHANGES, READS, Session, TheDesk

router = APIRouter(prefix="/v1/sessions", tags=["Client2Monitor: sessions"])


@router.get("", operation_id="list_sessions")
async def list_sessions(desk: TheDesk) -> told.Sessions:
    """Tell how all sessions are; one whose record can't be read is "damaged"."""

    def look() -> told.Sessions:
        found: list[told.Status | told.Damaged] = []
        for name in desk.service.sessions():
            try:
                status = desk.service.status(name)
            except AbsentError:  # deleted since it was listed
                continue
            except InputError as error:
                found.append(told.Damaged(session=name, state="damaged", problems=[str(error)]))
            else:
                found.append(told.Status.model_validate(status.to_json()))
        return told.Sessions(sessions=found)

    return await desk.ask(look)


@router.post("", operation_id="create_session", status_code=201, responses=CONFLICT)
async def create_session(desk: TheDesk, asked: wanted.NewSession) -> told.Status:
    """Make a session; nothing is started."""

    def make() -> told.Status:
        with tempfile.TemporaryDirectory(prefix="escalade-rules-") as folder:
            paths = [
                _written(Path(folder) / str(number), rules)
                for number, rules in enumerate(asked.rules)
            ]
            try:
                status = desk.service.create(
                    asked.session,
                    prom_host=asked.prom_host,
                    port=asked.port,
                    scrape_interval_seconds=asked.scrape_interval_seconds,
                    rules=paths,
                )
            except InputError as error:
                raise type(error)(_without(folder, str(error))) from error
        return told.Status.model_validate(status.to_json())

    return await desk.change(make)


@router.get("/{session}", operation_id="session_status", responses=READS)
async def session_status(desk: TheDesk, session: Session) -> told.Status:
    """Tell what is true of a session now: its job, Prometheus, every target."""

    def look() -> told.Status:
        return told.Status.model_validate(desk.service.status(session).to_json())

    return await desk.ask(look)


@router.delete("/{session}", operation_id="delete_session", responses=CHANGES)
async def delete_session(
    desk: TheDesk, session: Session, how: Annotated[wanted.Deletion, Query()]
) -> told.Changed:
    """Delete a session with all its data, collections and archives."""

    def delete() -> told.Changed:
        done = desk.service.delete(session, force=how.force)
        return told.Changed.model_validate(done.to_json())

    return await desk.change(delete)


@router.post("/{session}/start", operation_id="start_session", responses=CHANGES)
async def start_session(
    desk: TheDesk, session: Session, asked: Annotated[wanted.Start | None, Body()] = None
) -> told.Changed:
    """Start Prometheus, on the data that there are; harmless when it runs."""
    how = asked or wanted.Start()

    def start() -> told.Changed:
        wish = None if how.slurm is None else desk.wish(how.slurm)
        done = desk.service.start(session, wish, wait=desk.wait(how.wait_seconds))
        return told.Changed.model_validate(done.to_json())

    return await desk.change(start)


@router.post("/{session}/stop", operation_id="stop_session", responses=CHANGES)
async def stop_session(desk: TheDesk, session: Session) -> told.Changed:
    """End Prometheus and the session's exporters in order; data stay. Harmless when repeated."""

    def stop() -> told.Changed:
        return told.Changed.model_validate(desk.service.stop(session).to_json())

    return await desk.change(stop)


def _written(folder: Path, rules: wanted.RuleFile) -> Path:
    folder.mkdir()
    path = folder / rules.name
    path.write_text(rules.text, encoding="utf-8")
    return path


def _without(folder: str, message: str) -> str:
    """Leave out of a message where the server had put a rule file."""
    for number in range(32):
        message = message.replace(f"{folder}/{number}/", "")
    return message
