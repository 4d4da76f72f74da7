"""Collections and archives in a session's folder, and answers of its Prometheus.

A request names a collection, never a path: what it may fetch are the files that the manifest of
that collection has.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from escalade import manifest
from escalade.errors import AbsentError, ConflictError, InfrastructureError, InputError
from escalade.folders import held
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.http import told
from escalade.monitoring.windows import gather
from escalade.monitoring.windows.queries import Questions
from escalade.monitoring.windows.window import Wanted, choose
from escalade.runtime.slurm.commands import Slurm

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from escalade.monitoring.http.wanted import NewCollection, Question
    from escalade.monitoring.sessions.record import SessionFolder
    from escalade.monitoring.sessions.service import MonitoringService

COLLECTIONS, ARCHIVES = "collections", "archives"
_ENDING = ".tar.zst"


def collect(
    service: MonitoringService, session: SessionFolder, asked: NewCollection
) -> told.Collected:
    """Collect a window of a session that runs.

    Raises
    ------
    AbsentError
        When it is deleted meanwhile.
    ConflictError
        When it does not run, or there is a collection of that name.
    InputError
        When the window or a query can't be used.
    NoDataError
        When there is no sample in it.
    InfrastructureError
        When Prometheus, Slurm or the disk fails; nothing is written then.
    """
    out = session.path / COLLECTIONS / asked.name
    if out.exists():
        raise ConflictError(
            f"Session {session.id} has a collection {asked.name!r} already: name another."
        )
    url = _url(service, session.id)
    window = Wanted(asked.from_iso, asked.to_iso, asked.last, asked.job, asked.label)
    with PrometheusClient(url) as client:
        chosen = choose(client, window, lambda number: Slurm().times(number))
        # Outside of the session, which may be deleted meanwhile: no part of it must come back.
        with held(session.root, f".{session.id}.{asked.name}.collect.") as passing:
            made = passing / asked.name
            done = gather.collect(client, chosen, asked.queries or Questions(), made, asked.name)
            _move(made, session, out)
    return told.Collected(
        session=session.id,
        name=asked.name,
        window=told.CollectedWindow.model_validate(done.content["window"]),
        scrape_interval_seconds=done.content["scrape_interval_seconds"],
        samples=done.content["raw"]["samples"],
        rows=[told.Row.model_validate(row.to_json()) for row in done.rows],
        files=_files(out),
    )


def collections(session: SessionFolder) -> told.Collections:
    """Name the collections of a session, with their files."""
    found = sorted((session.path / COLLECTIONS).glob(f"*/{manifest.NAME}"))
    return told.Collections(
        collections=[
            told.StoredCollection(name=path.parent.name, files=_files(path.parent))
            for path in found
            if not path.parent.name.startswith(".")
        ]
    )


def collected_file(session: SessionFolder, name: str, file: str) -> Path:
    """Find a file of a collection.

    Raises
    ------
    AbsentError
        When the collection's manifest has no such file.
    """
    folder = session.path / COLLECTIONS / name
    if not (folder / manifest.NAME).is_file():
        known = [path.name for path in (session.path / COLLECTIONS).glob("[!.]*")]
        raise _absent(session, "collection", name, known)
    known = [manifest.NAME, *manifest.read_manifest(folder)]
    if file not in known or not (folder / file).resolve().is_relative_to(folder.resolve()):
        raise AbsentError(f"Collection {name} has no such file; it has: {', '.join(known)}.")
    return _there(folder / file)


def archive(service: MonitoringService, session: SessionFolder, name: str) -> told.Archive:
    """Archive a session's data in its folder.

    Raises
    ------
    ConflictError
        When there is an archive of that name, or there are no data.
    InfrastructureError
        When the disk is full; nothing is left then.
    """
    path = _folder_in(session, ARCHIVES) / f"{name}{_ENDING}"
    if path.exists():
        raise ConflictError(f"Session {session.id} has an archive {name!r} already: name another.")
    service.archive(session.id, path)
    return told.Archive(name=name, bytes=path.stat().st_size)


def archives(session: SessionFolder) -> told.Archives:
    """Name the archives of a session."""
    found = sorted((session.path / ARCHIVES).glob(f"[!.]*{_ENDING}"))
    return told.Archives(
        archives=[
            told.Archive(name=path.name.removesuffix(_ENDING), bytes=path.stat().st_size)
            for path in found
        ]
    )


def archive_file(session: SessionFolder, name: str) -> Path:
    """Find an archive.

    Raises
    ------
    AbsentError
        When there is none of that name.
    """
    path = session.path / ARCHIVES / f"{name}{_ENDING}"
    if not path.is_file():
        raise _absent(session, "archive", name, [it.name for it in archives(session).archives])
    return path


def answer(service: MonitoringService, session: str, asked: Question, most: int) -> told.Answer:
    """Have the Prometheus of a session evaluate an expression.

    Raises
    ------
    ConflictError
        When the session does not run.
    InputError
        When Prometheus can't evaluate it, or the answer has more than `most` samples.
    """
    with PrometheusClient(_url(service, session)) as client:
        if asked.start is None or asked.end is None or asked.step_seconds is None:
            frame = client.instant(asked.expression, asked.at)
        else:
            frame = client.range(asked.expression, asked.start, asked.end, asked.step_seconds)
    if len(frame) > most:
        raise InputError(
            f"The answer has {len(frame):,} samples, {most:,} are the most. Aggregate, ask for a "
            "shorter range or a longer step, or collect the window."
        )
    return told.Answer(series=_series(frame))


def _series(frame: pd.DataFrame) -> list[told.Series]:
    columns = (frame[name] for name in ("metric", "labels", "timestamp", "value"))
    by_series = itertools.groupby(zip(*columns, strict=True), key=lambda row: row[:2])
    return [
        told.Series(
            metric=metric,
            labels=json.loads(labels),
            samples=[(float(at), _spelled(float(value))) for _, _, at, value in rows],
        )
        for (metric, labels), rows in by_series
    ]


def _spelled(value: float) -> str:
    """Write a value as Prometheus does."""
    known = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
    text = repr(value).removesuffix(".0")
    return known.get(text, text)


def _url(service: MonitoringService, session: str) -> str:
    found = service.status(session)
    if found.url is None or not found.ready:
        why = " ".join(found.problems) or "Start it first: POST /v1/sessions/{session}/start."
        raise ConflictError(
            f"Session {session} is {found.state}: its Prometheus can't be asked. {why}"
        )
    return found.url


def _folder_in(session: SessionFolder, name: str) -> Path:
    """Make a folder in that of a session, which may be deleted at this moment."""
    folder = session.path / name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        raise _deleted(session) from None
    except OSError as error:
        raise InfrastructureError(
            f"{folder} could not be made: {error.strerror or error}. Free some space."
        ) from error
    return folder


def _move(made: Path, session: SessionFolder, out: Path) -> None:
    _folder_in(session, COLLECTIONS)
    try:
        made.rename(out)
    except FileNotFoundError:
        raise _deleted(session) from None
    except OSError as error:
        raise ConflictError(
            f"{out} can't take the collection: {error.strerror or error}. Name another."
        ) from error


def _deleted(session: SessionFolder) -> AbsentError:
    return AbsentError(f"Session {session.id!r} was deleted meanwhile.")


def _files(folder: Path) -> list[told.Artifact]:
    listed = manifest.read_manifest(folder)
    return [told.Artifact(name=name, **entry) for name, entry in sorted(listed.items())]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise AbsentError(f"The file {path.name} of this collection is missing.")
    return path


def _absent(session: SessionFolder, what: str, name: str, known: list[str]) -> AbsentError:
    listed = ", ".join(sorted(known)) or "none"
    return AbsentError(f"Session {session.id} has no {what} {name!r}; it has: {listed}.")
