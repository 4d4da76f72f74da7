"""What can go wrong, by what the user can do about it.

The exit codes are those of the command line: 0 fine, 1 an SLO missed or a
regression, 2 unusable input or data, 3 infrastructure failed, 4 undecided.
"""

from collections.abc import Sequence


class EscaladeError(Exception):
    """Anything that Escalade reports as one message instead of a traceback."""

    exit_code = 3


class InputError(EscaladeError):
    """The configuration, an argument or a stored file can't be used."""

    exit_code = 2


class AbsentError(InputError):
    """What was named is not there."""


class ConflictError(InputError):
    """What was asked for does not fit what is there, or its state."""


class NoDataError(InputError):
    """A query or a file was answered, but holds nothing to compute from."""


class InfrastructureError(EscaladeError):
    """Something around the service under test failed: no result can be had."""


class ToolMissingError(InfrastructureError):
    """A program that is needed was found nowhere and could not be fetched."""


class ServiceFailedError(EscaladeError):
    """The service under test died or never became ready: a result, not an accident.

    Parameters
    ----------
    cause
        One sentence: what happened.
    log_tail
        The last lines of the service's own log.
    """

    def __init__(self, cause: str, log_tail: Sequence[str] = ()) -> None:
        super().__init__(cause)
        self.cause = cause
        self.log_tail = list(log_tail)
