"""Commands that say what a session watches: clients, services, exporters."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from escalade.cli.monitor.options import (
    STATE,
    WAIT_SECONDS,
    Json,
    Session,
    State,
    Wait,
    service_in,
    tell,
)
from escalade.errors import InputError

ClientId = Annotated[str, typer.Option(help="The client; the label client_id.")]


def client_connect(
    *,
    session: Session,
    client_id: ClientId,
    node: Annotated[str, typer.Option(help="Where it is; the label node.")],
    node_exporter: Annotated[
        str | None, typer.Option(help="Its node_exporter, as in nodeA:9100.")
    ] = None,
    dcgm_exporter: Annotated[
        str | None, typer.Option(help="Its DCGM exporter, as in nodeA:9400.")
    ] = None,
    wait: Wait = WAIT_SECONDS,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Connect a client, with the exporters of its node; also while Prometheus runs."""
    changed = service_in(state).register_client(
        session,
        client_id,
        node,
        node_exporter=node_exporter,
        dcgm_exporter=dcgm_exporter,
        wait=wait,
    )
    tell(changed, as_json=as_json)


def service_register(
    *,
    session: Session,
    client_id: Annotated[
        str | None, typer.Option(help="The client whose service it is; a connected one.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the service; its job in the data.")] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="http://HOST:PORT/metrics; HOST may be 127.0.0.1 or job:ID."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help='Many at once: JSON [{"name": …, "endpoint": …}, …].')
    ] = None,
    wait: Wait = WAIT_SECONDS,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Register the /metrics page of a service; also while Prometheus runs.

    It stays registered when it does not answer yet: what keeps it from being scraped is said.
    """
    if file is not None and (name is not None or endpoint is not None):
        raise InputError("--file has the names and endpoints: leave out --name and --endpoint.")
    if file is not None:
        services = _read(file)
    elif name is not None and endpoint is not None:
        services = [(name, endpoint)]
    else:
        raise InputError("Expected --name and --endpoint, or --file.")
    changed = service_in(state).register_services(session, services, client_id=client_id, wait=wait)
    tell(changed, as_json=as_json)


def exporter_deploy(
    *,
    session: Session,
    kind: Annotated[str, typer.Option(help="node, gpu, or process.")],
    job: Annotated[
        str | None, typer.Option(help="Slurm job on whose nodes it runs; the session's node.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs on each node of that job.")] = 1,
    wait: Wait = WAIT_SECONDS,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Start an exporter with the session: it ends with it, and with the job it is in."""
    changed = service_in(state).deploy_exporter(session, kind, job=job, gpus=gpus, wait=wait)
    tell(changed, as_json=as_json)


def client_remove(
    *, session: Session, client_id: ClientId, state: State = STATE, as_json: Json = False
) -> None:
    """Take a client away, with its services and exporters."""
    tell(service_in(state).remove_client(session, client_id), as_json=as_json)


def service_remove(
    *,
    session: Session,
    name: Annotated[str, typer.Option(help="Of the service.")],
    client_id: Annotated[
        str | None, typer.Option(help="Where several clients have one of this name.")
    ] = None,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Take a service away."""
    tell(service_in(state).remove_service(session, name, client_id), as_json=as_json)


def exporter_remove(
    *,
    session: Session,
    kind: Annotated[str, typer.Option(help="node, dcgm, gpu or process.")],
    name: Annotated[str, typer.Option(help="As `status` shows it: its node, or session.")],
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Take an exporter away, and end it where the session started it."""
    tell(service_in(state).remove_exporter(session, kind, name), as_json=as_json)


def _read(path: Path) -> list[tuple[str, str]]:
    """Read names and endpoints."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = [(entry["name"], entry["endpoint"]) for entry in content]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f'--file {path}: {error!r}. Expected JSON [{{"name": "triton", "endpoint": '
            '"http://nodeA:8000/metrics"}, …].'
        ) from error
    if not found or not all(isinstance(word, str) for entry in found for word in entry):
        raise InputError(f"--file {path}: expected at least one service; names are text.")
    return found
