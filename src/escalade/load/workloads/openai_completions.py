"""Workload: streaming text completions of an OpenAI-compatible server.

Every request has its own prompt and a fixed number of output tokens. Token counts
are the server's (`usage`); the first chunk is the first event that carries text.

Parameters
----------
model
    Name sent with each request ("default").
path
    Of the endpoint ("/v1/completions").
body
    Merged into the request; a null value removes a key, for servers that refuse
    `ignore_eos` or `cache_prompt` ({}).
keep_alive
    Whether connections are used again (false: llama.cpp drops some that are).
headers
    Added to each request, as for an API key ({}).
"""

from locust import FastHttpUser, task

from escalade.load.workload import (
    completion_body,
    due,
    headers,
    json_events,
    note_usage,
    parameters,
    prompt,
    with_own,
)

PATH = "/v1/completions"


class CompletionUser(FastHttpUser):
    """Sends one streaming completion request per arrival."""

    connection_timeout = network_timeout = 3600.0  # the step's own timeout is shorter

    @task
    def complete(self) -> None:
        """Ask, read the stream, note tokens and counts."""
        request = due()
        with self.client.post(
            parameters().get("path", PATH),
            name="completion",
            json=with_own(completion_body(request) | {"prompt": prompt(request)}),
            headers=headers(request, keep_alive=False) | {"Accept-Encoding": "identity"},
            stream=True,
            catch_response=True,
        ) as response:
            for event in json_events(response, request):
                if any(choice.get("text") for choice in event.get("choices") or []):
                    request.chunk()
                note_usage(request, event)
