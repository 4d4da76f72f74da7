"""The Python client of the monitoring API: a method for each operation, typed answers and errors.

It needs neither FastAPI nor anything of the server.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from escalade import manifest
from escalade.files import replacing
from escalade.folders import assembling
from escalade.monitoring.http import told
from escalade.monitoring.http.faults import ApiUnreachableError, of_problem
from escalade.monitoring.http.tokens import VARIABLE, checked, read_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

Model = TypeVar("Model", bound=BaseModel)
URL = "http://127.0.0.1:8642"
"""Where `escalade monitor serve` listens by default."""
_CONNECT_SECONDS = 5.0
_WORK_SECONDS = 120.0
_COLLECT_SECONDS = 3600.0


class MonitoringClient(AbstractContextManager["MonitoringClient"]):
    """Asks one server; may be used by several threads.

    Parameters
    ----------
    url
        Of the server, as `escalade monitor serve` prints it.
    token
        That of the server; by default what the environment variable ESCALADE_MONITOR_TOKEN has.
    token_file
        A file of mode 600 that holds it, in place of `token`.
    transport
        How requests are sent; over the network by default.

    Notes
    -----
    Every method raises an `ApiError`: `ApiRefusedError` (also an `InputError`) with the subclasses
    `ApiAbsentError`, `ApiConflictError` and `ApiUnauthorizedError` for what has to be corrected,
    `ApiFailedError` (also an `InfrastructureError`) with `ApiBusyError` and `ApiUnreachableError`
    for what may be tried again. Nothing is repeated by itself. Proxies of the environment are not
    used: the server is on this machine or near it.
    """

    def __init__(
        self,
        url: str = URL,
        token: str | None = None,
        *,
        token_file: Path | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        if token is None:
            token = read_token(token_file) if token_file else os.environ.get(VARIABLE)
        headers = {}
        if token is not None:
            headers["Authorization"] = f"Bearer {checked(token, 'token')}"
        self.url = url.rstrip("/")
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            transport=transport,
            trust_env=False,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> told.Health:
        """Ask whether the server answers; needs no token."""
        return self._get("/health", told.Health)

    def sessions(self) -> list[told.Status | told.Damaged]:
        """Give the status of all sessions."""
        return self._get("/v1/sessions", told.Sessions).sessions

    def create_session(
        self,
        session: str,
        *,
        prom_host: str = "localhost",
        port: int = 0,
        scrape_interval_seconds: float = 5.0,
        rules: Mapping[str, str] | None = None,
    ) -> told.Status:
        """Make a session; nothing is started.

        Parameters
        ----------
        session
            Its id.
        prom_host, port
            Where Prometheus listens; a free port when 0.
        scrape_interval_seconds
            Between two samples of a series.
        rules
            Rule files: text by name.
        """
        files = [{"name": name, "text": text} for name, text in (rules or {}).items()]
        body = {
            "session": session,
            "prom_host": prom_host,
            "port": port,
            "scrape_interval_seconds": scrape_interval_seconds,
            "rules": files,
        }
        return self._send("POST", "/v1/sessions", told.Status, body)

    def status(self, session: str) -> told.Status:
        """Say what is true of a session now."""
        return self._get(_path(session), told.Status)

    def start(
        self, session: str, *, slurm: Mapping[str, str] | None = None, wait_seconds: float = 60.0
    ) -> told.Changed:
        """Start Prometheus, on the data that there are.

        Parameters
        ----------
        session
            Its id.
        slurm
            partition, account, qos and time of a Slurm job, or none of them; it runs on the
            server's machine when None.
        wait_seconds
            How long to wait for Slurm to start the job.
        """
        body = {"slurm": None if slurm is None else dict(slurm), "wait_seconds": wait_seconds}
        return self._send("POST", _path(session, "start"), told.Changed, body, seconds=wait_seconds)

    def stop(self, session: str) -> told.Changed:
        """End Prometheus and the session's exporters; data stay."""
        return self._send("POST", _path(session, "stop"), told.Changed)

    def delete(self, session: str, *, force: bool = False) -> told.Changed:
        """Delete a session with all its data; with `force` also one that runs or is damaged."""
        asked = {"force": "true" if force else "false"}
        return self._send("DELETE", _path(session), told.Changed, asked=asked)

    def connect_client(
        self,
        session: str,
        client_id: str,
        node: str,
        *,
        node_exporter: str | None = None,
        dcgm_exporter: str | None = None,
        wait_seconds: float = 15.0,
    ) -> told.Changed:
        """Connect a client, with the exporters that run on its node already."""
        body = {
            "client_id": client_id,
            "node": node,
            "node_exporter": node_exporter,
            "dcgm_exporter": dcgm_exporter,
            "wait_seconds": wait_seconds,
        }
        return self._send(
            "POST", _path(session, "clients"), told.Changed, body, seconds=wait_seconds
        )

    def remove_client(self, session: str, client_id: str) -> told.Changed:
        """Take a client away, with its services and exporters."""
        asked = {"client_id": client_id}
        return self._send("DELETE", _path(session, "clients"), told.Changed, asked=asked)

    def register_service(
        self,
        session: str,
        name: str,
        endpoint: str,
        *,
        client_id: str | None = None,
        wait_seconds: float = 15.0,
    ) -> told.Changed:
        """Register the /metrics page of a service; 127.0.0.1 in it is the server's machine."""
        return self.register_services(
            session, [(name, endpoint)], client_id=client_id, wait_seconds=wait_seconds
        )

    def register_services(
        self,
        session: str,
        services: Sequence[tuple[str, str]],
        *,
        client_id: str | None = None,
        wait_seconds: float = 15.0,
    ) -> told.Changed:
        """Register name and endpoint of many services: all of them, or none."""
        body = {
            "services": [{"name": name, "endpoint": endpoint} for name, endpoint in services],
            "client_id": client_id,
            "wait_seconds": wait_seconds,
        }
        return self._send(
            "POST", _path(session, "services"), told.Changed, body, seconds=wait_seconds
        )

    def remove_service(self, session: str, name: str, client_id: str | None = None) -> told.Changed:
        """Take a service away."""
        asked = {"name": name} | ({} if client_id is None else {"client_id": client_id})
        return self._send("DELETE", _path(session, "services"), told.Changed, asked=asked)

    def deploy_exporter(
        self,
        session: str,
        kind: str,
        *,
        job: str | None = None,
        gpus: int = 1,
        wait_seconds: float = 15.0,
    ) -> told.Changed:
        """Start an exporter with the session: node, gpu or process."""
        body = {"kind": kind, "job": job, "gpus": gpus, "wait_seconds": wait_seconds}
        return self._send(
            "POST", _path(session, "exporters"), told.Changed, body, seconds=wait_seconds
        )

    def remove_exporter(self, session: str, kind: str, name: str) -> told.Changed:
        """Take an exporter away, and end it where the session started it."""
        asked = {"kind": kind, "name": name}
        return self._send("DELETE", _path(session, "exporters"), told.Changed, asked=asked)

    def collect(
        self,
        session: str,
        name: str,
        *,
        from_iso: str | None = None,
        to_iso: str | None = None,
        last: str | None = None,
        job: str | None = None,
        label: str | None = None,
        queries: Mapping[str, Any] | None = None,
    ) -> told.Collected:
        """Collect a window of time into the session's folder.

        Parameters
        ----------
        session
            Its id.
        name
            Of the collection.
        from_iso, to_iso, last, job, label
            The window, by one of the four ways of docs/collecting.md.
        queries
            What a queries file would have; the shipped queries when None.
        """
        body = {
            "name": name,
            "from_iso": from_iso,
            "to_iso": to_iso,
            "last": last,
            "job": job,
            "label": label,
            "queries": None if queries is None else dict(queries),
        }
        path = _path(session, "collections")
        return self._send("POST", path, told.Collected, body, seconds=_COLLECT_SECONDS)

    def collections(self, session: str) -> list[told.StoredCollection]:
        """Name the collections of a session, with their files."""
        return self._get(_path(session, "collections"), told.Collections).collections

    def fetch_collection(self, session: str, name: str, folder: Path) -> None:
        """Copy a collection into a new or empty folder, and compare it with its manifest.

        Raises
        ------
        InputError
            When the folder is in use, or there is no such collection.
        InfrastructureError
            When a file did not come as it is on the server; nothing is left then.
        """
        known = {it.name: it.files for it in self.collections(session)}
        files = [file.name for file in known.get(name, [])]
        with assembling(folder) as new:
            for file in (manifest.NAME, *files):
                if not _inside(file):
                    raise self._strange(f"it names a file {file!r}")
                (new / file).parent.mkdir(parents=True, exist_ok=True)
                self._fetch(_path(session, "collections", name, "files", file), new / file)
            if changed := manifest.verify(new):
                raise self._strange(f"{changed[0].path} {changed[0].what}")

    def archive(self, session: str, name: str) -> told.Archive:
        """Write all data of a session into one file in its folder."""
        path, body = _path(session, "archives"), {"name": name}
        return self._send("POST", path, told.Archive, body, seconds=_COLLECT_SECONDS)

    def archives(self, session: str) -> list[told.Archive]:
        """Name the archives of a session."""
        return self._get(_path(session, "archives"), told.Archives).archives

    def fetch_archive(self, session: str, name: str, file: Path) -> None:
        """Copy an archive into a file, whole or not at all."""
        self._fetch(_path(session, "archives", name), file)

    def query(self, session: str, expression: str, at: float | None = None) -> list[told.Series]:
        """Have Prometheus evaluate PromQL at one moment: now, or Unix seconds."""
        body = {"expression": expression, "at": at}
        return self._send("POST", _path(session, "query"), told.Answer, body).series

    def query_range(
        self, session: str, expression: str, start: float, end: float, step_seconds: float
    ) -> list[told.Series]:
        """Have Prometheus evaluate PromQL at start, start + step, … up to and including end."""
        body = {"expression": expression, "start": start, "end": end, "step_seconds": step_seconds}
        return self._send("POST", _path(session, "query"), told.Answer, body).series

    def _get(self, path: str, model: type[Model]) -> Model:
        return self._send("GET", path, model)

    def _send(
        self,
        method: str,
        path: str,
        model: type[Model],
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = 0.0,
        asked: Mapping[str, str] | None = None,
    ) -> Model:
        limit = httpx2.Timeout(_WORK_SECONDS + seconds, connect=_CONNECT_SECONDS)
        try:
            answer = self._http.request(method, path, json=body, params=asked, timeout=limit)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        self._insist(answer.status_code, answer.content)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._strange("its answer is not that of this version") from error

    def _fetch(self, path: str, file: Path) -> None:
        limit = httpx2.Timeout(_WORK_SECONDS, connect=_CONNECT_SECONDS)
        try:
            with (
                self._http.stream("GET", path, timeout=limit) as answer,
                replacing(file) as new,
                new.open("wb") as opened,
            ):
                if not answer.is_success:
                    self._insist(answer.status_code, answer.read())
                for piece in answer.iter_bytes():
                    opened.write(piece)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _insist(self, status: int, content: bytes) -> None:
        if 200 <= status < 300:
            return
        try:
            problem = told.Problem.model_validate_json(content)
        except ValidationError:
            raise self._strange(f"it answers with HTTP {status}") from None
        raise of_problem(problem, status)

    def _unreachable(self, error: httpx2.HTTPError) -> ApiUnreachableError:
        problem = told.Problem(
            code="unreachable",
            message=f"{self.url} does not answer: {error or type(error).__name__}.",
            advice="`escalade monitor serve` starts a server.",
        )
        return ApiUnreachableError(problem, 0)

    def _strange(self, why: str) -> ApiUnreachableError:
        problem = told.Problem(
            code="strange_answer",
            message=f"{self.url} is not the monitoring API of this version: {why}.",
            advice="Compare the version of GET /health with `escalade --version`.",
        )
        return ApiUnreachableError(problem, 0)


def _path(session: str, *parts: str) -> str:
    """Give the path of a session, or of something of it."""
    names = [quote(part, safe="/") for part in parts]
    return "/".join(["/v1/sessions", quote(session, safe=""), *names])


def _inside(name: str) -> bool:
    """Tell whether a name that a server gave stays in the folder it is meant for."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
