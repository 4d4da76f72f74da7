"""What can go wrong when the API is asked, by what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import (
    AbsentError,
    ConflictError,
    EscaladeError,
    InfrastructureError,
    InputError,
)

if TYPE_CHECKING:
    from escalade.monitoring.http.told import Problem


class ApiError(EscaladeError):
    """A request was not fulfilled.

    Parameters
    ----------
    problem
        What the server said.
    status
        Of HTTP; 0 where there was no answer.
    """

    def __init__(self, problem: Problem, status: int) -> None:
        super().__init__(f"{problem.message} {problem.advice}".strip())
        self.problem = problem
        self.status = status
        self.code = problem.code


class ApiRefusedError(ApiError, InputError):
    """The request can't be used as it is."""


class ApiAbsentError(ApiRefusedError, AbsentError):
    """What was named is not there."""


class ApiConflictError(ApiRefusedError, ConflictError):
    """It does not fit what is there, or the state of the session."""


class ApiUnauthorizedError(ApiRefusedError):
    """The server wants another token."""


class ApiFailedError(ApiError, InfrastructureError):
    """Something around the server failed; the same request may be sent again."""


class ApiBusyError(ApiFailedError):
    """The server has too much to do at this moment."""


class ApiUnreachableError(ApiFailedError):
    """Nobody answers, or what answers is no monitoring API."""


_KINDS: dict[int, type[ApiError]] = {
    401: ApiUnauthorizedError,
    404: ApiAbsentError,
    409: ApiConflictError,
}


def of_problem(problem: Problem, status: int) -> ApiError:
    """Give the error for an answer."""
    if problem.code == "busy":
        return ApiBusyError(problem, status)
    usual = ApiFailedError if status >= 500 else ApiRefusedError
    return _KINDS.get(status, usual)(problem, status)
