"""The frame around one step of the workflow.

A step runs in a process of its own, started by Snakemake. Here it gets its
cell, a log, the lease that ends it when the driver is gone, and one clear
message instead of a traceback when something goes wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign import events
from escalade.campaign.run import CellRun, open_run
from escalade.errors import EscaladeError, InfrastructureError
from escalade.runtime.driver import RunFolder, read_driver
from escalade.runtime.lifeline import watch_lease

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from escalade.campaign.run import CampaignRun

logger = logging.getLogger("escalade")


@contextlib.contextmanager
def cell_stage(
    name: str, cell: str, log: str, configuration: Mapping[str, Any]
) -> Iterator[CellRun]:
    """Run a stage of a cell; when it fails, the cell's allocation is released.

    Parameters
    ----------
    name
        The rule's name.
    cell
        The cell's name.
    log
        The rule's log file.
    configuration
        Snakemake's merged configuration.

    Raises
    ------
    SystemExit
        With the error's exit code, once it has been told.
    """
    with _told(name, cell, log):
        run = open_run(configuration, [])
        _depend_on_driver(run)
        stage = CellRun(run, run.plan.cell(cell), run.folder.cell(cell))
        with _reported(run, name, cell):
            try:
                yield stage
            except (EscaladeError, KeyboardInterrupt):
                _release(stage)
                raise


@contextlib.contextmanager
def campaign_stage(name: str, log: str, configuration: Mapping[str, Any]) -> Iterator[CampaignRun]:
    """Run a stage of the whole campaign, with the same promises."""
    with _told(name, "", log):
        run = open_run(configuration, [])
        _depend_on_driver(run)
        with _reported(run, name, ""):
            yield run


def _release(stage: CellRun) -> None:
    from escalade.campaign.deploy import release_allocation  # noqa: PLC0415 - a stage that goes well does without it

    release_allocation(stage.state)


def _depend_on_driver(run: CampaignRun) -> None:
    folder = RunFolder.open(run.state)
    seconds = folder.lease_seconds
    if read_driver(run.state).get("host") != os.uname().nodename:  # seen over shared storage
        seconds = max(seconds, run.plan.campaign.execution.slurm.lease_seconds)
    watch_lease(folder.lease, seconds)


@contextlib.contextmanager
def _told(name: str, cell: str, log: str) -> Iterator[None]:
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        yield
    except EscaladeError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message is whole; a traceback adds nothing
        where = f"{name} of {cell}" if cell else name
        print(f"{where}: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        logger.info("interrupted")
        raise SystemExit(130) from None
    except Exception:
        logger.exception("%s failed in a way that Escalade does not know", name)
        raise


@contextlib.contextmanager
def _reported(run: CampaignRun, name: str, cell: str) -> Iterator[None]:
    events.append(run.events, cell, name, "started")
    try:
        yield
    except EscaladeError as error:
        events.append(run.events, cell, name, "failed", str(error))
        raise
    except OSError as error:
        events.append(run.events, cell, name, "failed", str(error))
        raise InfrastructureError(
            f"{error.filename or name}: {error.strerror or error}."
        ) from error
    except Exception as error:
        events.append(run.events, cell, name, "failed", f"{type(error).__name__}: {error}")
        raise
    events.append(run.events, cell, name, "ended")


def quiet_threads() -> None:
    """Keep numerical libraries to one thread: the other cores belong to the service."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
