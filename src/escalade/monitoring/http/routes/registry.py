"""What sessions watch: clients, services, exporters; also while Prometheus runs."""

from typing import Annotated

from fastapi import APIRouter, Query

from escalade.monitoring.http import told, wanted
from escalade.monitoring.http.routes.shared import CHANGES, Session, TheDesk

clients = APIRouter(prefix="/v1/sessions/{session}", tags=["Client2Monitor: clients and exporters"])
services = APIRouter(prefix="/v1/sessions/{session}", tags=["ClientService2Monitor: services"])


@clients.post("/clients", operation_id="connect_client", responses=CHANGES)
async def connect_client(desk: TheDesk, session: Session, asked: wanted.NewClient) -> told.Changed:
    """Connect a client, with the exporters that run on its node already."""

    def connect() -> told.Changed:
        done = desk.service.register_client(
            session,
            asked.client_id,
            asked.node,
            node_exporter=asked.node_exporter,
            dcgm_exporter=asked.dcgm_exporter,
            wait=desk.wait(asked.wait_seconds),
        )
        return told.Changed.model_validate(done.to_json())

    return await desk.change(connect)


@clients.delete("/clients", operation_id="remove_client", responses=CHANGES)
async def remove_client(
    desk: TheDesk, session: Session, which: Annotated[wanted.ClientToRemove, Query()]
) -> told.Changed:
    """Take a client away, with its services and exporters."""

    def remove() -> told.Changed:
        done = desk.service.remove_client(session, which.client_id)
        return told.Changed.model_validate(done.to_json())

    return await desk.change(remove)


@clients.post("/exporters", operation_id="deploy_exporter", responses=CHANGES)
async def deploy_exporter(
    desk: TheDesk, session: Session, asked: wanted.NewExporter
) -> told.Changed:
    """Start an exporter with the session: it ends with it, and with the job that it is in."""

    def deploy() -> told.Changed:
        done = desk.service.deploy_exporter(
            session,
            asked.kind,
            job=asked.job,
            gpus=asked.gpus,
            wait=desk.wait(asked.wait_seconds),
        )
        return told.Changed.model_validate(done.to_json())

    return await desk.change(deploy)


@clients.delete("/exporters", operation_id="remove_exporter", responses=CHANGES)
async def remove_exporter(
    desk: TheDesk, session: Session, which: Annotated[wanted.ExporterToRemove, Query()]
) -> told.Changed:
    """Take an exporter away, and end it where the session started it."""

    def remove() -> told.Changed:
        done = desk.service.remove_exporter(session, which.kind, which.name)
        return told.Changed.model_validate(done.to_json())

    return await desk.change(remove)


@services.post("/services", operation_id="register_services", responses=CHANGES)
async def register_services(
    desk: TheDesk, session: Session, asked: wanted.NewServices
) -> told.Changed:
    """Register the /metrics pages of services: all of them, or none.

    They stay registered where they do not answer yet: what keeps them from being scraped is said.
    """

    def register() -> told.Changed:
        done = desk.service.register_services(
            session,
            [(service.name, service.endpoint) for service in asked.services],
            client_id=asked.client_id,
            wait=desk.wait(asked.wait_seconds),
        )
        return told.Changed.model_validate(done.to_json())

    return await desk.change(register)


@services.delete("/services", operation_id="remove_service", responses=CHANGES)
async def remove_service(
    desk: TheDesk, session: Session, which: Annotated[wanted.ServiceToRemove, Query()]
) -> told.Changed:
    """Take a service away."""

    def remove() -> told.Changed:
        done = desk.service.remove_service(session, which.name, which.client_id)
        return told.Changed.model_validate(done.to_json())

    return await desk.change(remove)
