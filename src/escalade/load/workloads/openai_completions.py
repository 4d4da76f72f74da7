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

from locust import task

from escalade.load.http_user import LeanHttpUser
from escalade.load.workload import due, prompt, streamed

PATH = "/v1/completions"


class CompletionUser(LeanHttpUser):
    """Sends one streaming completion request per arrival."""

    @task
    def complete(self) -> None:
        """Ask, read the stream, note tokens and counts."""
        request = due()
        ask = {"prompt": prompt(request)}
        for event in streamed(self.client, request, name="completion", path=PATH, ask=ask):
            if any(choice.get("text") for choice in event.get("choices") or []):
                request.chunk()
