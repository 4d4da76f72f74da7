"""How the API says no: one shape for every refusal and failure, never a traceback."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.errors import (
    AbsentError,
    ConflictError,
    EscaladeError,
    InfrastructureError,
    InputError,
    NoDataError,
    ToolMissingError,
)
from escalade.monitoring.faults import BadQueryError
from escalade.monitoring.http.told import FieldProblem, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

ADVICE = {
    "bad_query": "Correct the expression; the message has Prometheus' own words.",
    "busy": "Ask again after the seconds in Retry-After.",
    "conflict": "GET /v1/sessions/{session} tells how it is; change what is in the way, then ask "
    "again.",
    "failed": "See the message; GET /v1/sessions/{session} tells how the session is. The same "
    "request may be sent again.",
    "foreign_origin": "Send requests from programs; pages of other sites may not use this API.",
    "internal": "This is a defect of Escalade: the server's standard error has more of it.",
    "invalid_request": "Correct the fields; /docs and /openapi.json say what is expected.",
    "malformed_body": "Send a JSON object with Content-Type: application/json.",
    "method_not_allowed": "Use one of the methods in the header Allow.",
    "no_data": "Choose another window, or see in the status what is scraped.",
    "no_such_page": "See /docs or /openapi.json for the paths that there are.",
    "not_found": "GET /v1/sessions lists sessions; the status of one lists what is registered.",
    "slow_body": "Send the body faster.",
    "tool_missing": "`escalade tools` on the server's machine fetches what is missing.",
    "too_large": "Send less at once: services may be registered in several requests.",
    "unauthorized": "Send the header Authorization: Bearer TOKEN, with the token that the server "
    "was started with.",
    "unusable": "Correct what the message names, then ask again.",
    "wrong_host": "Use http://127.0.0.1:PORT or http://localhost:PORT, also through a tunnel.",
}
"""What to do next, by code."""


class BusyError(InfrastructureError):
    """All threads of the server are at work, and enough requests wait for one."""


_CODES: tuple[tuple[type[EscaladeError], int, str], ...] = (
    (AbsentError, 404, "not_found"),
    (ConflictError, 409, "conflict"),
    (NoDataError, 422, "no_data"),
    (BadQueryError, 422, "bad_query"),
    (InputError, 422, "unusable"),
    (BusyError, 503, "busy"),
    (ToolMissingError, 503, "tool_missing"),
    (EscaladeError, 503, "failed"),
)
_OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
_FIELDS = {
    "client-id": "client_id",
    "dcgm-exporter": "dcgm_exporter",
    "from-iso": "from_iso",
    "node-exporter": "node_exporter",
    "prom-host": "prom_host",
    "run-id": "name",
    "scrape-interval": "scrape_interval_seconds",
    "to-iso": "to_iso",
} | {
    name: name
    for name in (
        *("account", "endpoint", "force", "job", "kind", "label", "last", "name", "node"),
        *("partition", "port", "qos", "rules", "slurm", "time"),
    )
}
"""What options of the command line are called in requests."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not fulfilled.

    Parameters
    ----------
    status
        Of HTTP.
    code
        One of `ADVICE`.
    message
        What is wrong.
    fields
        Parts of the request that are not as they should be: where, and what.
    headers
        That go with the answer.
    """

    status: int
    code: str
    message: str
    fields: Sequence[tuple[str, str]] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """Give the body of the answer."""
        fields = [FieldProblem(where=where, what=what) for where, what in self.fields]
        return Problem(
            code=self.code, message=self.message, advice=ADVICE[self.code], fields=fields
        ).model_dump(mode="json")


def of_error(error: EscaladeError) -> Refusal:
    """Tell how an error of the service is answered."""
    status, code = next((at, code) for kind, at, code in _CODES if isinstance(error, kind))
    headers = {"Retry-After": "5"} if status == 503 else {}
    return Refusal(status, code, in_words_of_the_api(str(error)), headers=headers)


def in_words_of_the_api(message: str) -> str:
    """Turn options of the command line into the names that they have in requests.

    Commands, which stand in backticks, stay as they are: they can be typed on the server.

    Examples
    --------
    >>> in_words_of_the_api("--client-id 'x': unknown; `escalade --client-id` has it")
    "client_id 'x': unknown; `escalade --client-id` has it"
    """
    pieces = message.split("`")
    pieces[::2] = [
        _OPTION.sub(lambda found: _FIELDS.get(found[1], found[0]), piece) for piece in pieces[::2]
    ]
    return "`".join(pieces)


def of_fields(errors: Sequence[Any]) -> Refusal:
    """Tell how a request is answered that the models do not take.

    What was sent is not sent back: it may be long, and no business of a log.
    """
    fields = [(_where(error["loc"]), str(error["msg"])) for error in errors[:20]]
    listed = "; ".join(f"{where}: {what}" for where, what in fields[:5])
    more = f"; … and {len(errors) - 5} more" if len(errors) > 5 else ""
    return Refusal(
        422, "invalid_request", f"The request can't be used: {listed}{more}.", tuple(fields)
    )


def _where(parts: Sequence[Any]) -> str:
    return ".".join(_printable(str(part)) for part in parts) or "body"


def _printable(text: str) -> str:
    return text[:60].encode("ascii", "backslashreplace").decode()


def _described(what: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"model": Problem, "description": what}
    if headers:
        told["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in headers.items()
        }
    return told


COMMON: dict[int | str, dict[str, Any]] = {
    400: _described("The body is no JSON."),
    401: _described(
        "No token, or another one than the server's.", {"WWW-Authenticate": "Always Bearer."}
    ),
    403: _described("A page of another site sent it."),
    408: _described("The body did not come in time."),
    413: _described("The body is too large."),
    421: _described("The Host header names another host than the loopback that the server is on."),
    422: _described("The request, or something that it names, can't be used."),
    500: _described("A defect of Escalade."),
    503: _described(
        "Prometheus, Slurm, a disk or a tool failed, or too much is asked at once.",
        {"Retry-After": "Seconds."},
    ),
}
"""Refusals that any operation may give."""
ABSENT: dict[int | str, dict[str, Any]] = {404: _described("There is no such thing.")}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: _described("It does not fit what is there, or the state of the session.")
}
