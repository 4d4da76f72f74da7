"""`escalade monitor collect`: a window of time, taken out of a Prometheus."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from escalade.cli.monitor.options import STATE, Json, State, service_in
from escalade.cli.tables import print_rows
from escalade.errors import InputError

if TYPE_CHECKING:
    from escalade.monitoring.windows.gather import Collected
    from escalade.monitoring.windows.rows import Row

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def collect(
    *,
    session: Annotated[str | None, typer.Option(help="Id of a session that runs.")] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="In place of a session: URL, as in http://node:9090.")
    ] = None,
    from_iso: Annotated[
        str | None, typer.Option(help="Begin with its zone: 2025-10-01T10:00:00Z.")
    ] = None,
    to_iso: Annotated[str | None, typer.Option(help="End, which is not part of it.")] = None,
    last: Annotated[str | None, typer.Option(help="Length up to now: 10m, 90s, 1h30m.")] = None,
    job: Annotated[str | None, typer.Option(help="Id of a Slurm job: while it ran.")] = None,
    label: Annotated[
        str | None, typer.Option(help="NAME=VALUE: from the first to the last sample with it.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="File of what else is computed (docs/collecting.md).")
    ] = None,
    out: Annotated[Path, typer.Option(help="New or empty folder.")],
    run_id: Annotated[
        str | None, typer.Option(help="Stands in the tables; the folder's name by default.")
    ] = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Write figures, raw samples and coverage of a window of time into a folder.

    The window is given by --from-iso and --to-iso, by --last, by --job or by --label. Exit code 2
    when it can't be used or holds no sample, 3 when Prometheus or the disk fails; nothing is
    written then.
    """
    from escalade.monitoring.client import PrometheusClient  # noqa: PLC0415 - `--help` does without
    from escalade.monitoring.windows import gather  # noqa: PLC0415
    from escalade.monitoring.windows.queries import Questions, read_questions  # noqa: PLC0415
    from escalade.monitoring.windows.window import Wanted, choose  # noqa: PLC0415
    from escalade.runtime.slurm.commands import Slurm  # noqa: PLC0415

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = run_id if run_id is not None else out.absolute().name
    if not _RUN_ID.fullmatch(name):
        raise InputError(
            f"--run-id: {name!r} is no name of a run; expected letters, digits, ., _ and -, as in run01."
        )
    asked = Questions() if queries is None else read_questions(queries)
    with PrometheusClient(url_of(session, prometheus, state)) as client:
        wanted = Wanted(from_iso, to_iso, last, job, label)
        chosen = choose(client, wanted, lambda number: Slurm().times(number))
        collected = gather.collect(client, chosen, asked, out, name)
    if as_json:
        rows = [row.to_json() for row in collected.rows]
        typer.echo(json.dumps({**collected.content, "out": str(out), "rows": rows}, indent=1))
    else:
        _show(collected, out)


def url_of(session: str | None, prometheus: str | None, state: Path) -> str:
    """Give the URL of the Prometheus that is meant.

    Raises
    ------
    InputError
        When not one of the two is given, or the session's Prometheus does not run.
    """
    if (session is None) == (prometheus is None):
        given = "Both are given" if session is not None else "Neither is given"
        raise InputError(f"Which Prometheus? {given}; expected one of --session and --prometheus.")
    if prometheus is not None:
        return prometheus
    found = service_in(state).status(str(session))
    if found.url is None or not found.ready:
        problems = " ".join(found.problems)
        raise InputError(
            f"Session {session} is {found.state}: its Prometheus can't be asked. "
            + (problems or f"`escalade monitor start --session {session}` starts it on its data.")
        )
    return found.url


def _show(collected: Collected, out: Path) -> None:
    say = Console(highlight=False, soft_wrap=True, markup=False).print
    content = collected.content
    window = content["window"]
    given = "" if window["given"].startswith("from ") else f"{window['given']}: "
    say(f"{given}{window['start_iso']} to {window['end_iso']}")
    if window["note"]:
        say(window["note"])
    rows = [row for row in collected.rows if row.slice is None]
    columns = ("metric", "", "value", "unit", "from", "to", "n", "coverage")
    print_rows(columns, [_cells(row) for row in rows])
    for remark, statistics in _remarks(rows).items():  # a terminal is narrow
        say(f"{', '.join(statistics)}: {remark}")
    targets = content["targets"]
    worst = min((target["coverage"] for target in targets), default=None)
    least = "" if worst is None else f", of one only {worst:.1%} of its scrapes" * (worst < 1)
    say(f"{content['raw']['samples']:,} raw samples; {len(targets)} targets{least}; all in {out}")


def _cells(row: Row) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4g}"

    return (
        row.metric if row.labels == "{}" else f"{row.metric} {row.labels}",
        row.statistic,
        number(row.value),
        row.unit if row.value is not None else "",
        number(row.low),
        number(row.high),
        f"{row.n:,}" if row.n else "",
        "" if row.coverage is None else f"{row.coverage:.1%}",
    )


def _remarks(rows: list[Row]) -> dict[str, list[str]]:
    """Say what `from` and `to` are, and what is wrong; once for all that it is true of."""
    from escalade.monitoring.windows.rows import BUCKETS  # noqa: PLC0415

    remarks: dict[str, list[str]] = {}
    for row in rows:
        bracket = "from and to are the bounds of the bucket that holds it, no interval"
        for remark in (bracket * (row.method == BUCKETS), row.quality * (row.quality != "ok")):
            if remark:
                remarks.setdefault(remark, []).append(f"{row.metric} {row.statistic}")
    return remarks
