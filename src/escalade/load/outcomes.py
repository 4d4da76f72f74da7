"""What may become of a request."""

ERRORS = (
    "not_sent",  # the step was over before its turn came
    "unfinished",  # no end before the drain timeout
    "timeout",
    "connect",
    "reset",
    "http_4xx",
    "http_5xx",
    "refused",  # an error of the service's own, where its protocol has no HTTP status
    "malformed",
    "aborted",  # the load generator gave it up, or lost it
    "not_due",  # a later turn of a conversation that never came: no error of the service
    "abandoned",  # its client left before the end, as planned: neither error nor success
)
ANSWERED = ("ok", "2xx", "3xx")  # without an error; ok: by a client that tells no HTTP status
OUTCOMES = (*ANSWERED, *ERRORS)


def answered(status: int) -> str:
    """Name the outcome of a request without an error by its HTTP status, 0 for none."""
    return f"{status // 100}xx" if status // 100 in (2, 3) else "ok"
