"""How the pages of a session are: from Prometheus where it runs, else from the record alone."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from escalade.errors import EscaladeError
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.sessions import exporters, results, targets

if TYPE_CHECKING:
    from escalade.monitoring.client import TargetHealth
    from escalade.monitoring.sessions.live import Live
    from escalade.monitoring.sessions.record import Page, Record, SessionFolder
    from escalade.monitoring.sessions.situation import Situation

_ASK_SECONDS = 5.0
_LOOK_SECONDS = 0.1


def status_of(session: SessionFolder, record: Record, found: Situation) -> results.Status:
    """Say all that is true of a session now."""
    live, problems = found.live, [found.why] if found.why else []
    ready, health, clock = False, [], time.time()
    if found.state == "running" and live is not None:
        try:
            with PrometheusClient(live.state.url, _ASK_SECONDS, retries=0) as client:
                ready = client.ready()
                health = client.targets()
        except EscaladeError as error:
            problems.append(f"Prometheus does not answer: {error}")
    pages = _statuses(record, live if found.state == "running" else None, health, clock)
    return results.Status(
        session=record.id,
        state=found.state,
        created_at=record.created_at,
        launcher=record.launch.launcher if record.launch else None,
        job=found.job,
        url=live.state.url if live and found.state == "running" else None,
        ready=ready,
        version=live.state.version if live else None,
        started_at=live.at if live else None,
        data=str(session.prometheus / "data"),
        clients=tuple((client.id, client.node) for client in record.clients),
        targets=pages,
        problems=tuple(problems),
        log_tail=found.log_tail,
        events=tuple((event.at, event.what) for event in record.events),
    )


def of_pages(
    record: Record, live: Live | None, keys: set[str], wait: float
) -> tuple[results.TargetStatus, ...]:
    """Say how some pages are, once each was scraped well, or after `wait` seconds."""
    deadline = time.monotonic() + wait
    while True:
        health: list[TargetHealth] = []
        if live is not None:
            with PrometheusClient(live.state.url, _ASK_SECONDS) as client:
                health = client.targets()
        known = _statuses(record, live, health, time.time(), keys)
        good = all(page.health == "up" or page.url is None for page in known)
        if good or live is None or time.monotonic() >= deadline:
            return known
        time.sleep(_LOOK_SECONDS)


def _statuses(
    record: Record,
    live: Live | None,
    health: list[TargetHealth],
    now: float,
    keys: set[str] | None = None,
) -> tuple[results.TargetStatus, ...]:
    where = targets.placed(record, live.addresses if live else {}, live.ports if live else {})
    known = {(it.address, it.path): it for it in health}
    pages = [page for page in record.pages if keys is None or page.key in keys]
    ours = _exporters([page for page in pages if page.ours], live)
    said = []
    for page in pages:
        at = where.get(page.key)
        seen = known.get((f"{at[0]}:{at[1]}", page.path)) if at else None
        status = _status(page, at, seen, now)
        if not status.last_error and status.last_scrape is None and live is not None:
            why = "not scraped yet" if seen else "Prometheus does not know it yet"
            why = live.problems.get(page.key, why) if seen is None else why
            status = dataclasses.replace(status, last_error=why)
        said.append(dataclasses.replace(status, exporter=ours.get(page.key, "")))
    return tuple(said)


def _status(
    page: Page, at: tuple[str, int] | None, seen: TargetHealth | None, now: float
) -> results.TargetStatus:
    last = seen.last_scrape if seen else None
    return results.TargetStatus(
        kind=page.kind,
        name=page.name,
        client_id=page.client_id,
        node=page.node,
        url=f"http://{at[0]}:{at[1]}{page.path}" if at else None,
        given=page.given,
        health=seen.health if seen else "not scraped",
        last_scrape=last,
        age_seconds=None if last is None else round(max(0.0, now - last), 3),
        last_error=seen.last_error if seen else "",
    )


def _exporters(pages: list[Page], live: Live | None) -> dict[str, str]:
    if not pages or live is None:
        return {}
    names = {page.key: exporters.step_name(page) for page in pages}
    try:
        told = live.call(exporters.states, live.allocation, list(names.values()))
    except EscaladeError as error:
        return dict.fromkeys(names, f"can't be asked: {error}")
    return {key: told[name] for key, name in names.items()}
