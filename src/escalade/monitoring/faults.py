"""How asking a Prometheus can fail, by what to do about it."""

from escalade.errors import InfrastructureError, InputError


class PrometheusError(InfrastructureError):
    """Prometheus answered that it could not do what it was asked."""


class UnreachableError(PrometheusError):
    """Nobody answers at the address, also after the retries."""


class QueryTimeoutError(PrometheusError):
    """No whole answer came in time."""


class TooLargeError(PrometheusError):
    """The answer would hold more samples or bytes than one answer may."""


class MalformedAnswerError(PrometheusError):
    """What came back is not what the Prometheus HTTP API gives."""


class BadQueryError(InputError):
    """Prometheus can't parse or evaluate the expression; its own words are in the message."""


class TooManyPointsError(BadQueryError):
    """A range query asks for more steps than Prometheus gives (11,000 per series)."""
