"""The client of a head: a method for each operation, typed answers and errors."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from escalade.errors import InfrastructureError, InputError
from escalade.files import replacing
from escalade.monitoring.http.faults import ApiUnauthorizedError, of_problem
from escalade.monitoring.http.told import Problem
from escalade.profiler.head import told

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from escalade.profiler.outputs import Format

Model = TypeVar("Model", bound=BaseModel)
_CONNECT_SECONDS, _SECONDS, _EXPORT_SECONDS = 5.0, 30.0, 3600.0


class ProfilerClient(AbstractContextManager["ProfilerClient"]):
    """Asks one head.

    Parameters
    ----------
    address
        `host:port`, of either port.
    token
        That of the head; None where it wants none.
    token_file
        Where the token came from, for messages.

    Notes
    -----
    Every method raises an `ApiError` for what the head refuses, and `InfrastructureError` when
    nobody answers or what answers is no head.
    """

    def __init__(
        self, address: str, token: str | None = None, *, token_file: Path | None = None
    ) -> None:
        self.address = address
        self._token_file = token_file
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx2.Client(
            base_url=f"http://{address}", headers=headers, trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connections."""
        self._http.close()

    def status(self) -> told.Status:
        """Ask how the head is."""
        return self._ask("GET", "/status", told.Status)

    def clients(self) -> list[told.ClientTold]:
        """Ask for the nodes."""
        return self._ask("GET", "/clients", told.Clients).clients

    def sessions(self) -> list[told.SessionTold]:
        """Ask for all sessions."""
        return self._ask("GET", "/profiling/sessions", told.Sessions).sessions

    def latest(self) -> told.Latest:
        """Ask what every GPU showed last."""
        return self._ask("GET", "/metrics/latest", told.Latest)

    def start(
        self, name: str | None = None, start: float | None = None, end: float | None = None
    ) -> told.SessionTold:
        """Begin a session, or cut one out of the past."""
        asked = told.Start(name=name, start_time=start, end_time=end)
        return self._ask("POST", "/profiling/start", told.SessionTold, asked)

    def stop(self, name: str | None = None, wait_seconds: float = 5.0) -> list[told.Output]:
        """End one session or all that run."""
        asked = told.Stop(name=name, wait_seconds=wait_seconds)
        return self._ask("POST", "/profiling/stop", told.Stopped, asked, _EXPORT_SECONDS).stopped

    def resume(self, name: str) -> told.SessionTold:
        """Have a session go on."""
        return self._ask("POST", "/profiling/resume", told.SessionTold, told.Resume(name=name))

    def fetch(self, name: str, kind: Format, path: Path) -> None:
        """Write the file of a session to `path`.

        Raises
        ------
        InfrastructureError
            When it can't be written; `path` is as before.
        """
        where = f"/profiling/sessions/{quote(name, safe='')}/data"
        limit = httpx2.Timeout(_EXPORT_SECONDS, connect=_CONNECT_SECONDS)
        try:
            with (
                self._http.stream("GET", where, params={"format": kind}, timeout=limit) as answer,
                replacing(path) as temporary,
            ):
                if answer.status_code != httpx2.codes.OK:
                    answer.read()
                    raise self._refusal(answer)
                with temporary.open("wb") as opened:
                    for piece in answer.iter_bytes(1 << 20):
                        opened.write(piece)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _ask(
        self,
        method: str,
        path: str,
        kind: type[Model],
        asked: BaseModel | None = None,
        seconds: float = _SECONDS,
    ) -> Model:
        limit = httpx2.Timeout(seconds, connect=_CONNECT_SECONDS)
        body: Any = None if asked is None else asked.model_dump()
        try:
            answer = self._http.request(method, path, json=body, timeout=limit)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.status_code != httpx2.codes.OK:
            raise self._refusal(answer)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._no_head() from error

    def _refusal(self, answer: httpx2.Response) -> Exception:
        try:
            problem = Problem.model_validate_json(answer.content)
        except ValidationError:
            return self._no_head()
        refused = of_problem(problem, answer.status_code)
        if isinstance(refused, ApiUnauthorizedError):
            used = self._token_file or "ESCALADE_PROFILE_TOKEN"
            return InputError(
                f"The head {self.address} wants another token ({used}): {problem.message} Give the "
                "file `token` of the head's folder by --token-file."
            )
        return refused

    def _unreachable(self, error: httpx2.HTTPError) -> InfrastructureError:
        return InfrastructureError(
            f"No head of the profiler answers at {self.address}: {error or type(error).__name__}. "
            "Start one by `escalade profile start`, or correct HEAD."
        )

    def _no_head(self) -> InfrastructureError:
        return InfrastructureError(
            f"What answers at {self.address} is no head of the profiler. Correct HEAD: the head "
            "prints it at its start."
        )
