"""Record and Prometheus in step: what the one says, the other scrapes.

A command that is killed between the two leaves them apart, or an exporter that no record names;
the next command that changes the session, and `start`, bring them together again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.monitoring import manager, renderer
from escalade.monitoring.sessions import exporters, targets
from escalade.monitoring.sessions.keeper import rule_files

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.monitoring.registry import Registry
    from escalade.monitoring.sessions.live import Live
    from escalade.monitoring.sessions.record import Record, SessionFolder


def take(
    folder: SessionFolder, before: Record, after: Record, live: Live | None, registry: Registry
) -> None:
    """Write the record and have Prometheus take it; as before, where that fails.

    Parameters
    ----------
    folder
        The session, whose lock is held.
    before, after
        Its record as it is, and as it is to be.
    live
        What runs; None where nothing does.
    registry
        The targets of `after`.

    Raises
    ------
    InfrastructureError
        When it can't be written, or Prometheus does not take it.
    """
    folder.write(after)
    if live is None:
        return
    try:
        _reload(folder, after, live, registry)
    except BaseException:
        folder.write(before)
        raise


def catch_up(folder: SessionFolder, record: Record, live: Live) -> None:
    """Have Prometheus take what the record says, where a killed command left it behind.

    Parameters
    ----------
    folder, record, live
        As they are; the session's lock is held.

    Raises
    ------
    InfrastructureError
        When Prometheus does not answer, or does not take it.
    """
    end_others(record, live)
    registry = targets.registry_of(record, live.addresses, live.ports)
    if not manager.scrapes(live.state, registry, rule_files(folder, record)):
        _reload(folder, record, live, registry)


def end_others(record: Record, live: Live) -> None:
    """End the exporters of a session that its record does not name."""
    own = [exporters.step_name(page) for page in record.pages if page.ours]
    if live.job is None or own:  # in a job it costs a step of it
        live.call(exporters.withdraw_others, live.allocation, own)


def sweep_files(folder: SessionFolder, *, runs: bool) -> None:
    """Remove what commands and keepers that were killed had half written.

    Parameters
    ----------
    folder
        The session, whose lock is held.
    runs
        Whether a keeper runs, which writes files of its own.
    """
    names = [".prometheus.yml.*.new"]
    if not runs:
        names += [".prometheus.yml.*.tmp", ".live.json.*.tmp", ".ended.json.*.tmp"]
    for name in names:
        for left in [*folder.path.glob(name), *folder.prometheus.glob(name)]:
            left.unlink(missing_ok=True)


def _reload(folder: SessionFolder, record: Record, live: Live, registry: Registry) -> None:
    sweep_files(folder, runs=True)
    manager.reload(live.state, registry, rule_files(folder, record), _checked)


def _checked(path: Path) -> None:
    renderer.check("config", path)
