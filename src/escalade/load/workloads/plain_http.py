"""Workload: one plain HTTP request per arrival.

Parameters
----------
path
    Of the endpoint ("/").
method
    "GET", "POST", ... ("GET").
body
    Sent as JSON; "{prompt}" inside it stands for the request's own prompt (none).
name
    In locust's live statistics (the path).
keep_alive
    Whether connections are used again (true).
headers
    Added to each request, as for an API key ({}).
"""

import json

from locust import task

from escalade.load.arrival import Arrival
from escalade.load.http_user import LeanHttpUser
from escalade.load.workload import due, headers, parameters, prompt


class PlainUser(LeanHttpUser):
    """Sends one request per arrival."""

    @task
    def send(self) -> None:
        """Send it and read the answer."""
        chosen = parameters()
        request = due()
        path = chosen.get("path", "/")
        self.client.request(
            chosen.get("method", "GET"),
            path,
            name=chosen.get("name", path),
            data=_body(request),
            headers=_headers(request),
        )


def _body(request: Arrival) -> str | None:
    body = parameters().get("body")
    if body is None:
        return None
    return json.dumps(body).replace("{prompt}", json.dumps(prompt(request))[1:-1])


def _headers(request: Arrival) -> dict[str, str]:
    typed = {} if parameters().get("body") is None else {"Content-Type": "application/json"}
    return typed | headers(request, keep_alive=True)
