"""The first record of a session, from what was asked for."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.monitoring import renderer
from escalade.monitoring.sessions.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
_MOST_PORT = 65535
_LEAST_INTERVAL, _MOST_INTERVAL = 0.1, 3600.0


def new_record(
    session: str,
    prom_host: str,
    port: int,
    scrape_interval_seconds: float,
    rules: Sequence[Path],
) -> tuple[Record, dict[str, str]]:
    """Check what was asked for; see `MonitoringService.create`.

    Returns
    -------
    tuple of Record and dict
        The record, and its rule files: text by name.

    Raises
    ------
    InputError
        When a value can't be used, or promtool refuses a rule file.
    """
    if not _HOST.fullmatch(prom_host) or prom_host == "0.0.0.0":  # noqa: S104 - refused
        raise InputError(
            f"--prom-host {prom_host!r}: expected a host name or an IPv4 address at which "
            "Prometheus can be asked, as in localhost."
        )
    if not 0 <= port <= _MOST_PORT:
        raise InputError(f"--port {port}: expected 1 to {_MOST_PORT}, or 0 for a free one.")
    if not _LEAST_INTERVAL <= scrape_interval_seconds <= _MOST_INTERVAL:
        raise InputError(
            f"--scrape-interval {scrape_interval_seconds}: expected {_LEAST_INTERVAL:g} to "
            f"{_MOST_INTERVAL:g} seconds."
        )
    texts = {f"{n:02d}-{_plain(path.name)}": _rules(path) for n, path in enumerate(rules, 1)}
    record = Record(
        id=session,
        created_at=time.time(),
        prom_host=prom_host,
        port=port,
        scrape_interval_seconds=scrape_interval_seconds,
        rules=tuple(texts),
    )
    return record.changed("created"), texts


def _rules(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--rules {path} can't be read: {error}.") from error
    renderer.check("rules", path)
    return text


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[-60:]
