"""Commands on the life of a session: create, start, status, stop, archive, delete."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from escalade.cli.monitor.jobs import job_wish
from escalade.cli.monitor.options import (
    STATE,
    Json,
    Session,
    State,
    ago,
    say,
    service_in,
    tell,
    warn,
)
from escalade.cli.tables import print_rows
from escalade.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from escalade.monitoring.sessions.results import Status


def session_create(
    *,
    run_id: Annotated[str, typer.Option(help="Id of the new session, as in bench01.")],
    prom_host: Annotated[
        str,
        typer.Option(help="Where Prometheus listens; localhost is its node's address in a job."),
    ] = "localhost",
    port: Annotated[int, typer.Option(help="Of Prometheus; a free one when 0.")] = 0,
    scrape_interval: Annotated[float, typer.Option(help="Seconds between two samples.")] = 5.0,
    rules: Annotated[
        list[Path] | None, typer.Option(help="Rule file; may be given several times.")
    ] = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Make a session; nothing is started."""
    made = service_in(state).create(
        run_id,
        prom_host=prom_host,
        port=port,
        scrape_interval_seconds=scrape_interval,
        rules=rules or [],
    )
    if as_json:
        _print_json(made)
    else:
        say(f"{made.session}: created in {state / made.session}")


def start(
    *,
    session: Session,
    partition: Annotated[
        str | None, typer.Option(help="Slurm partition: Prometheus runs as a job there.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Slurm account.")] = None,
    qos: Annotated[str | None, typer.Option(help="Slurm QOS.")] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Time limit of the job: minutes, HH:MM:SS or D-HH:MM:SS; 4 hours."),
    ] = None,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Run as a job in the site's usual partition.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the job.")] = 60.0,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Start Prometheus: here, or as a Slurm job; on the data of before, where there are some.

    Exit code 2 when Slurm refuses the job, 3 when Prometheus does not come up.
    """
    wish = None
    if slurm or any(word is not None for word in (partition, account, qos, time)):
        wish = job_wish(partition, account, qos, time)
    tell(service_in(state).start(session, wish, wait=wait), as_json=as_json)


def status(
    *,
    session: Annotated[str | None, typer.Option(help="Id of the session; all by default.")] = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Say how a session is: its job, Prometheus, every target; exit code 3 when it is dead."""
    service = service_in(state)
    if session is None:
        _all(service.sessions(), state, as_json=as_json)
        return
    found = service.status(session)
    if as_json:
        _print_json(found)
    else:
        _show(found)
    if found.state == "dead":
        raise typer.Exit(InfrastructureError.exit_code)


def stop(*, session: Session, state: State = STATE, as_json: Json = False) -> None:
    """End Prometheus and the session's exporters; its data stay."""
    tell(service_in(state).stop(session), as_json=as_json)


def delete(
    *,
    session: Session,
    force: Annotated[
        bool, typer.Option("--force", help="Stop it first; also if its record is damaged.")
    ] = False,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Remove a session with all its data."""
    tell(service_in(state).delete(session, force=force), as_json=as_json)


def archive(
    *,
    session: Session,
    out: Annotated[Path, typer.Option(help="New file, as in bench01.tar.zst.")],
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Write all data of a session into one file, for `escalade monitor open`."""
    tell(service_in(state).archive(session, out), as_json=as_json)


def _all(names: list[str], state: Path, *, as_json: bool) -> None:
    service = service_in(state)
    rows, content = [], []
    for name in names:
        try:
            found = service.status(name)
        except InputError as error:
            rows.append((name, "damaged", "", "", str(error).partition(". ")[0]))
            content.append({"session": name, "state": "damaged", "problems": [str(error)]})
            continue
        up = sum(target.health == "up" for target in found.targets)
        why = found.problems[0] if found.problems else ""
        rows.append((name, found.state, found.url or "", f"{up} of {len(found.targets)}", why))
        content.append(found.to_json())
    if as_json:
        typer.echo(json.dumps(content, indent=1, allow_nan=False))
    elif rows:
        print_rows(("session", "state", "Prometheus", "targets up", ""), rows)
    else:
        say(f"No sessions in {state}. `escalade monitor session-create --run-id NAME` makes one.")


def _show(found: Status) -> None:
    job = ""
    if found.job is not None:
        nodes = f" on {', '.join(found.job.nodes)}" if found.job.nodes else ""
        left = found.job.seconds_left
        rest = "" if left is None or not found.job.nodes else f", {left / 60:.0f} min left"
        job = f"; job {found.job.id} is {found.job.state}{nodes}{rest}"
    say(f"{found.session}: {found.state}{job}")
    if found.url is not None:
        ready = "ready" if found.ready else "NOT READY"
        say(
            f"Prometheus {found.version} at {found.url}: {ready}, since {ago(found.started_at)[:-4]}"
        )
    if found.clients:
        say("clients: " + ", ".join(f"{name} on {node}" for name, node in found.clients))
    rows = [
        (
            target.kind,
            target.name,
            target.client_id or "",
            target.url or target.given,
            target.health,
            ago(target.last_scrape) if found.state == "running" else "",
            "; ".join(word for word in (target.exporter, target.last_error) if word),
        )
        for target in found.targets
    ]
    if rows:
        columns = ("", "name", "client", "page", "health", "last scrape", "")
        print_rows(columns, rows)
    for problem in found.problems:
        warn(problem)
    if found.log_tail:
        warn("The end of its log:")
        for line in found.log_tail:
            warn(f"  {line}")


def _print_json(found: Status) -> None:
    typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
