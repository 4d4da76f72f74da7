"""Taking a window of time out of a Prometheus: raw samples, figures, coverage, manifest."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from escalade.errors import NoDataError
from escalade.folders import assembling
from escalade.monitoring.windows import artifacts
from escalade.monitoring.windows.extent import EVERYTHING
from escalade.monitoring.windows.growth import Growth
from escalade.monitoring.windows.queries import check
from escalade.monitoring.windows.rows import (
    counter_rows,
    expression_rows,
    histogram_rows,
    share_rows,
)
from escalade.monitoring.windows.scrapes import UP, Scrapes
from escalade.monitoring.windows.window import configured_interval, iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from escalade.monitoring.answers import Samples
    from escalade.monitoring.client import PrometheusClient
    from escalade.monitoring.windows.queries import Query, Questions
    from escalade.monitoring.windows.rows import Row
    from escalade.monitoring.windows.window import Chosen


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection has brought.

    Parameters
    ----------
    rows
        The figures.
    content
        As collection.json has it.
    """

    rows: list[Row]
    content: dict[str, Any]


def collect(
    client: PrometheusClient, chosen: Chosen, questions: Questions, out: Path, run_id: str
) -> Collected:
    """Write all that is asked of a window into a folder, whole or not at all.

    Parameters
    ----------
    client
        Asks the Prometheus.
    chosen
        The window.
    questions
        What is asked.
    out
        A new or empty folder.
    run_id
        Stands in the tables and in the manifest.

    Raises
    ------
    InputError
        When Prometheus can't evaluate what is asked, or `out` is in use.
    NoDataError
        When there is not one sample in the window.
    InfrastructureError
        When Prometheus does not answer, or the disk is full; nothing is written then.
    """
    check(client, questions, chosen.window.end)
    with assembling(out) as folder:
        scrapes = _scrapes(client, chosen)
        growths = _growths(chosen, questions, scrapes.interval)
        kept = _keep_raw(client, chosen, questions.raw, growths, folder)
        rows = [
            row
            for query in questions.asked
            for row in _rows(
                client, chosen, query, growths, scrapes=scrapes, slice_by=questions.slice_by
            )
        ]
        if not scrapes.targets() and not kept["samples"] and all(row.value is None for row in rows):
            raise NoDataError(
                f"There is no sample from {iso(chosen.window.start)} to {iso(chosen.window.end)} in "
                f"{client.url}: nothing was scraped then. Choose another window."
            )
        content = {
            "schema": 1,
            "run_id": run_id,
            "collected_at": iso(time.time()),
            "prometheus": {
                "url": _without_user(client.url),
                "version": client.build_info().get("version", ""),
            },
            "window": {
                "given": chosen.given,
                "start": chosen.window.start,
                "end": chosen.window.end,
                "start_iso": iso(chosen.window.start),
                "end_iso": iso(chosen.window.end),
                "seconds": chosen.window.seconds,
                "note": chosen.note,
            },
            "scrape_interval_seconds": scrapes.interval,
            "questions": questions.to_json(),
            "raw": kept,
            "targets": [
                {**asdict(target), "coverage": target.coverage} for target in scrapes.targets()
            ],
        }
        artifacts.write(folder, rows, content)
    return Collected(rows, content)


def _scrapes(client: PrometheusClient, chosen: Chosen) -> Scrapes:
    scrapes = Scrapes(chosen.window, configured_interval(client))
    for piece in client.raw_pieces(UP, chosen.window.start, chosen.window.end):
        scrapes.take(piece)
    return scrapes


def _growths(chosen: Chosen, questions: Questions, interval: float) -> dict[str, Growth]:
    """Make what adds up the counters of each selector that is asked for."""
    asked = [query for query in questions.asked if query.kind != "expression"]
    paced = {
        selector for query in asked if query.kind != "histogram" for selector in query.selectors
    }
    return {
        selector: Growth(chosen.window, interval, questions.slice_by, paced=selector in paced)
        for query in asked
        for selector in query.selectors
    }


def _keep_raw(
    client: PrometheusClient,
    chosen: Chosen,
    selectors: tuple[str, ...],
    growths: Mapping[str, Growth],
    folder: Path,
) -> dict[str, Any]:
    """Stream the raw samples to disk, and what of them is counted to where it is added up.

    A window may be larger than memory, and asking twice for it takes twice as long: where all
    samples are kept, Prometheus only names the series that a selector means.
    """
    window = chosen.window
    at_once = EVERYTHING in selectors
    routes: dict[tuple[str, str], list[Growth]] = defaultdict(list)
    for selector, growth in growths.items():
        until = window.start if at_once else window.end
        for piece in client.raw_pieces(selector, growth.reads_from, until):
            growth.take(piece)
        for name in client.series(selector, window.start, window.end) if at_once else ():
            routes[name].append(growth)
    with closing(artifacts.RawWriter(folder)) as writer:
        for selector in selectors:
            for piece in client.raw_pieces(selector, window.start, window.end):
                writer.take(piece)
                for track in piece.tracks() if selector == EVERYTHING else ():
                    for growth in routes.get((track.metric, track.labels), ()):
                        growth.take_track(track)
    return {"selectors": list(selectors), "samples": writer.samples}


def _rows(
    client: PrometheusClient,
    chosen: Chosen,
    query: Query,
    growths: Mapping[str, Growth],
    *,
    scrapes: Scrapes,
    slice_by: str,
) -> Iterator[Row]:
    if query.kind == "expression":
        found, moments = _on_the_grid(client, chosen, scrapes.interval, query.expr)
        return expression_rows(query, found, moments, slice_by)
    if query.of is not None:
        return share_rows(query, growths[query.expr], growths[query.of], scrapes)
    if query.kind == "histogram":
        return histogram_rows(query, growths[query.expr], scrapes)
    return counter_rows(query, growths[query.expr], scrapes)


def _on_the_grid(
    client: PrometheusClient, chosen: Chosen, interval: float, expression: str
) -> tuple[Samples, int]:
    """Evaluate an expression at the window's start and every scrape interval after it, before its end."""
    moments = 1 + int((chosen.window.seconds - 0.001) / interval)
    last = chosen.window.start + (moments - 1) * interval
    return client.range_samples(expression, chosen.window.start, last, interval), moments


def _without_user(url: str) -> str:
    """Leave out what a URL may hold of a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
